"""What supervisor, zygote, workers and clients exchange: messages, descriptors, failures, shared counters.

Imports only the standard library and `system`.
"""
