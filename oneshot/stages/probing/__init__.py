"""Sampling the base model on candidates: how often it solves each, drawn where that says most."""
