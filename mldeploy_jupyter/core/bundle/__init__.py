"""The content-addressed folder that a service runs from."""
