"""Measures the latency of live services: the load, its raw samples, and what can be said of them.

The load runs in a process of its own (`generator/`), which writes one sample for each request (`recording.py`).
Nothing here knows targets: a service is an address, and a function that returns its key. Numpy, pandas and plotly are
imported by the functions that use them.
"""
