"""The saved run: a folder that can be checked, moved and read without torch."""
