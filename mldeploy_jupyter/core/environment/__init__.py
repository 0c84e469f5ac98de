"""Definitions of Python environments as data, the files they are read from, and the names of distributions.

Imports only the modules of `core` itself: errors, files, records.
"""
