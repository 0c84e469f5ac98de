"""HTTP/1.1: the listening socket, a connection, a request on it.

Knows the application only as `application.Application`. Imports only `..scoring`, `..log`, `..ipc` and `..settings`.
"""
