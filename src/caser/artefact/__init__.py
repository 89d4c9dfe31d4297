"""The saved run: a folder that can be trusted, moved and read without torch."""
