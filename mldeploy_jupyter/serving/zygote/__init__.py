"""The process that has imported the server, and the modules of a service, and from which workers are forked.

It imports `worker`, which its children become, and `ipc`, `system`. `python -m mldeploy_serving.zygote` and
`from mldeploy_serving.zygote import main` start it: supervisors of every version use one of the two.
"""


def main() -> None:
    from .__main__ import main as run

    run()
