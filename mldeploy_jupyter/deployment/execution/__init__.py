"""Carries one deployment out: its stages, and how it ends."""
