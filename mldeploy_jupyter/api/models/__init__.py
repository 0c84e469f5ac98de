"""Registered models: register, find, describe, download, and the path a script loads them from.

Imports only `webservices`, `arguments`, `tag_filters` and `record_attribute` of the API, and the rooms below it.
"""
