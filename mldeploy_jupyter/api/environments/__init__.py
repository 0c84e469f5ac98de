"""`Environment` and its sections, and the files and images that one is made from."""
