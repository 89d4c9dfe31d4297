"""The service: a run folder that answers over HTTP, remembers what people just did, and says why."""
