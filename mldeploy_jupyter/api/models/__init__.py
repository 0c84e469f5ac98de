"""Registered models: register, find, describe, download, and the folder that a script finds them in."""
