"""Graders: text in, verdict out. Pure Python; nothing of a response or a reference is ever executed."""
