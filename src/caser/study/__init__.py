"""Everything that runs more than one model: compare, ablate, sweep, sessions, audit, and the report of each."""
