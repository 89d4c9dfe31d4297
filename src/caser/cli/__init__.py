"""The command line: one file per family of commands. `app.py` puts the commands together."""
