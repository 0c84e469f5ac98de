"""Subscriptions: what views are told when it changes, and who looks for it."""
