"""Scores with a model of MLflow; used where a deployment names no entry script. `mldeploy_serving` is the server's."""

import mlflow.pyfunc  # noqa: F401  so that the environment of an image has it
from mldeploy_serving.mlflow import init, run

__all__ = ["init", "run"]
