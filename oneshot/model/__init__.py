"""Loading, saving and reading numbers off a language model."""
