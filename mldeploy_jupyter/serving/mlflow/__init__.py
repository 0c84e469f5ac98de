"""A model of MLflow as an entry script: `from mldeploy_serving.mlflow import init, run`.

The service answers as `mlflow models serve` does, and as the services of Azure did. MLflow is imported by `init()`.
"""

from .pyfunc import init, run

__all__ = ["init", "run"]
