"""Runs of the latency lab, as a view has them: begun, stopped, listed, and each as it stands."""
