"""Configuration: the schema, how it is read, and where each value came from. Imports no torch."""
