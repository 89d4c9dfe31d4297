"""Caser: settings, equations in NumPy, and the network that trains."""
