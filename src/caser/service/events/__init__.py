"""Events of users: they are written to disk before they are acknowledged."""
