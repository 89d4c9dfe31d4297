"""Helpers for NumPy arrays: type aliases, offsets, and rows of unequal length."""
