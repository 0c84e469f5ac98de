"""What the operating system offers: processes, memory, sockets, signals, files.

Imports only the standard library; supervisor, zygote and workers all use it.
"""
