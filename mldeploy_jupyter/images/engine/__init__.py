"""What builds with an engine need of it: streams, and one build."""
