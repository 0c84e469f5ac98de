"""Measures the latency of services: `measure_latency` and what `Webservice.latency` calls."""
