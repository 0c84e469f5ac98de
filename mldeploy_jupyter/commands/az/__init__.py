"""Compatibility with `az`: its output options, and advice for its commands."""
