"""What a notebook shows of the latency lab."""
