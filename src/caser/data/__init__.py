"""Interaction logs: reading, filtering, describing and splitting them, and the tape that models read."""
