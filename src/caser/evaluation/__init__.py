"""Evaluation: exact ranks, metrics, intervals, and the protocols that define what a number means."""
