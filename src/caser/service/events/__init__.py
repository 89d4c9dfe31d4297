"""What people did, kept on disk before it is acknowledged."""
