"""What people who come from `az` expect: its options for results, and advice for its commands."""
