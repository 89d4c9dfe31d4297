"""The programs of a developer; `tools/dev.py` is where to begin."""
