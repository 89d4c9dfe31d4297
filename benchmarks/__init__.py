"""The measurements behind docs/results.md and docs/performance.md: `python -m benchmarks NAME` runs one script."""
