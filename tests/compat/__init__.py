"""v1's own test suites against this server. Nothing of them is copied into this repository."""
