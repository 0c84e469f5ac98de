"""The images of revisions: built or found, pushed and exported, and removed when nothing uses them."""
