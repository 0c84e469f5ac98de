"""What the operating system knows: processes, memory, sockets, signals, files."""
