"""The machine underneath: files that are written whole, memory, random streams, compiled loops, streamed tables."""
