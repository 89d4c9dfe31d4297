"""Measurements behind docs/results.md: one script each, `python -m benchmarks NAME`, with its own `main`."""
