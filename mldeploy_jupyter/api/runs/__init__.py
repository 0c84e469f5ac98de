"""`Run`: a training run whose files can be registered, kept in a folder of the workspace or in MLflow. `Experiment`:
the runs that have its name.

Imports only `api.models`, `api.arguments`, `api.tag_filters` and the rooms below `api`.
"""

from mldeploy_jupyter.api.runs.experiment import Experiment
from mldeploy_jupyter.api.runs.run import Run, get_run

__all__ = ["Experiment", "Run", "get_run"]
