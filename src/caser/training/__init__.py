"""Training: the loop, and checkpoints that a run continues from bit for bit."""
