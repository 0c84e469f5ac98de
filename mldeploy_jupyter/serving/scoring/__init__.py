"""The scoring core: a request's bytes and headers become the arguments of `run()`, and its result a response.

Knows no socket, so that the server, the script check and batch scoring share it. Imports only `azureml`, `schema` and
what all processes of the server use (`ipc`, `log`, settings and requirements); never `worker`, `http` or `supervisor`.
"""
