"""Logs that do not fit into memory: read piece by piece, sorted on disk, and opened as memory-mapped arrays."""
