"""The process that holds a service's port and keeps its workers running. It never runs user code.

No request passes through it: workers accept on the listening socket that they inherit. It imports only the standard
library and `ipc`, `log`, `system`, not `worker` or `zygote`, which it starts by name; and it imports little, because
it lives as long as the service.

`python -m mldeploy_serving.supervisor` and `from mldeploy_serving.supervisor import main` start it.
"""


def main() -> None:
    from .__main__ import main as run

    run()
