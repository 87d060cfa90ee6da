"""Whether a run fits in memory, on disk and in time, measured on its own model."""
