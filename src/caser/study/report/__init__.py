"""Writes the report of a study: one HTML page that works offline, a picture of each figure, and all numbers as JSON."""
