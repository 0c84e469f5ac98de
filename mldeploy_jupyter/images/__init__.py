"""Builds container images from bundles, with the Docker engine or without one.

Imports only `docker_engine` and `core`.
"""
