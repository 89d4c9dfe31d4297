"""Top-k search over a catalogue: exact, or with an approximate index."""
