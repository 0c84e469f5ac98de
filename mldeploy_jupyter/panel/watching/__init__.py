"""Subscriptions: views are told of changes, which one thread looks for."""
