"""How the run folder is put on disk; used by `record` and `history` only. Loads no torch."""
