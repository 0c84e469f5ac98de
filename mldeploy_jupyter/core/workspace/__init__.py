"""Workspaces on disk: the folder `.mldeploy/`, the list of a user's workspaces, and v1's `config.json`.

Imports `core.artifacts` and `core.store`, which it opens, and the modules of `core` itself: errors, files, records.
"""
