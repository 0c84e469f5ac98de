"""The store: a workspace's records in a SQLite or PostgreSQL database.

Imports only the modules of `core` itself: errors, files, records. SQLAlchemy is imported by the functions that use it.
"""
