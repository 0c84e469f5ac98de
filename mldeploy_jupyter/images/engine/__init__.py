"""Requests to the engine that builds need: streams, and one build."""
