"""Algorithms as pure functions on tensors: no configuration, no input or output, no trainer."""
