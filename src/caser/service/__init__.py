"""The service: serves a saved run over HTTP, stores new events of users, and explains its recommendations."""
