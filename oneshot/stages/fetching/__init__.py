"""The parts of `oneshot fetch`: models and tasks put into the cache."""
