"""Bundles: the content-addressed folders that services run from, and the files that go into them.

Imports only the modules of `core` itself: errors, files. The scoring server is read as files and never imported.
"""
