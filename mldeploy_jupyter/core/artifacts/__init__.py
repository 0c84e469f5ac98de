"""The bytes of models and archived journals, kept under their digests in a folder or through fsspec.

Imports only the modules of `core` itself: errors, files, process_identity, storage_errors.
"""
