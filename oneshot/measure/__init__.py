"""Pure functions on recorded runs. Load no torch, touch no files."""
