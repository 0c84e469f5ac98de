"""`Run`: a training run whose files can be registered, kept in a folder of the workspace or in MLflow.

Imports only `api.models`, `api.arguments` and the rooms below `api`.
"""

from mldeploy_jupyter.api.runs.run import Run

__all__ = ["Run"]
