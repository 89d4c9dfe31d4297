"""How fast everything is, beside what else does the same and beside what the machine can do; every bar has its file."""
