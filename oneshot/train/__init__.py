"""Learning: the learner, its checkpoints, and what to train on next."""
