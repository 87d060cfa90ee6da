"""Teach a language model to reason by reinforcement learning with verifiable rewards from one example."""

__version__ = "0.1.0"
