"""The process that holds the port, and keeps workers; it never runs user code.

`python -m mldeploy_serving.supervisor` and `from mldeploy_serving.supervisor import main` start it.
"""


def main() -> None:
    from .__main__ import main as run

    run()
