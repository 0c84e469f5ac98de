"""The process that holds a service's port and keeps its workers running. It never runs user code.

No request passes through it: workers accept on the listening socket that they inherit. It imports only the standard
library and `ipc`, `log`, `system`, not `worker` or `zygote`, which it starts by name; and it imports little, because
it lives as long as the service.

`python -m mldeploy_serving.supervisor` and `from mldeploy_serving.supervisor import main` start it.
"""

EXIT_LOCKED = 97  # exit code: the folder has a supervisor already


def main() -> None:
    from .__main__ import main as run

    run()
