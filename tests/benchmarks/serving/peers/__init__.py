"""What runs inside the peers' environments; `ours` runs in the benchmark's own."""
