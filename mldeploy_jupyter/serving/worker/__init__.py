"""The process that runs the entry script and answers requests.

Supervisors of every version start it by `python -m mldeploy_serving.worker` or `mldeploy_serving.worker.main`. Imports
`..http`, `..scoring`, `..azureml` and the rooms below them; only the zygote imports it.
"""


def main() -> None:
    from .__main__ import main as run

    run()
