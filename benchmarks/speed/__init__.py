"""Benchmarks of speed: each compares this library with another implementation or with what the machine can do."""
