"""One deployment: its timeline and cause, its log, its report."""
