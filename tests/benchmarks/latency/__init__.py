"""Whether the latency lab tells the truth: accuracy, agreement with another tool, capacity. `python -m` runs it."""
