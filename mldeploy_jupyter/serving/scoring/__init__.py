"""One call of `run()`, free of any transport."""
