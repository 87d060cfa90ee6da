"""Problems and where they come from; how they are put to the model; how responses are packed for training."""
