"""HTTP: access control, routes, and responses."""
