"""The path of one log line, from a `print()` in a worker to the file on disk.

A worker writes entries (`writer`), also for what the script prints (`capture`, `streams`); the supervisor reads them
(`worker_output`) and keeps the file (`service_log`). Imports nothing else of the server.
"""
