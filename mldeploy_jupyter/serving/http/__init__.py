"""HTTP/1.1: the listening side, one connection, one request."""
