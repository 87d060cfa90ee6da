"""The parts of `oneshot study`: the file, the arms, the cells in child processes, the tables."""
