"""The best items for a state: exactly, or by an index of cells."""
