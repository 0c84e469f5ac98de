"""The v1 names that an entry script may import, answered inside the service."""
