"""Arrays and nothing else: type aliases, offsets, rows of unequal length."""
