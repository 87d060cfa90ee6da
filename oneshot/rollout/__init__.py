"""Sampling: the engine and the collection of scored groups."""
