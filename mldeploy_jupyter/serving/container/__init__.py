"""A service inside a container: the supervisor as its first process, configured by files and environment variables.

`python -P -m mldeploy_serving.container` and `from mldeploy_serving.container import main` start it; `__main__` has the
command lines. Like the supervisor it imports only the standard library and never runs user code.
"""


def main() -> None:
    from .__main__ import main as run

    run()
