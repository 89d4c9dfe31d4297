"""Logs and what is made of them: reading, splitting, the tape, training batches."""
