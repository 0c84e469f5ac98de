"""The process that runs the entry script and answers requests.

`python -m mldeploy_serving.worker` and `from mldeploy_serving.worker import main` start it: supervisors of every
version use one of the two.
"""


def main() -> None:
    from .__main__ import main as run

    run()
