"""The way of one line from print() to the log on disk."""
