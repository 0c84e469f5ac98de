"""Blobs and folders kept by their digest: in a folder or through fsspec."""
