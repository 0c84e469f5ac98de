"""The process that has imported the server, from which workers are forked.

`python -m mldeploy_serving.zygote` and `from mldeploy_serving.zygote import main` start it: supervisors of every
version use one of the two.
"""


def main() -> None:
    from .__main__ import main as run

    run()
