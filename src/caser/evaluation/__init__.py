"""Judging: ranks, metrics, intervals, and the protocols that fix what a number means."""
