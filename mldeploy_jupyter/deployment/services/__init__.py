"""What a service is and does now: its engine, its state, its log and what happened to it."""
