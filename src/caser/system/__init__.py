"""Services near the operating system: whole-file writing, memory, random streams, compiled loops, registries."""
