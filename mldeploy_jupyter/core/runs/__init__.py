"""Where runs are kept: a folder of the workspace, or MLflow's tracking store. `api/runs` has what people call."""

from __future__ import annotations

from pathlib import Path

from mldeploy_jupyter.core.runs.backend import RunBackend
from mldeploy_jupyter.core.runs.folder_run import FolderRun, read_states


def open_run(folder: Path | None, id: str) -> RunBackend | None:
    """The run `id`, in `folder` if that is there, else in MLflow's tracking store; None where there is none.

    Raises `RunEnvironmentException` when MLflow cannot be reached.
    """
    if folder is not None and folder.is_dir():
        return FolderRun(folder)
    from mldeploy_jupyter.core.runs.mlflow_run import open_mlflow

    return open_mlflow(id)


DEFAULT_EXPERIMENT = "Default"  # of runs that were begun without one; MLflow's word, too


def list_experiments(runs: Path | None) -> list[str]:
    """The names of the experiments that have runs in the folder `runs`, and of MLflow's, sorted.

    Raises `RunEnvironmentException` when MLflow cannot be reached.
    """
    from mldeploy_jupyter.core.runs.mlflow_run import list_mlflow_experiments

    here = {state.get("experiment") or DEFAULT_EXPERIMENT for _, state in read_states(runs)}
    return sorted(here | {*list_mlflow_experiments()})


def list_runs(runs: Path | None, experiment: str) -> list[str]:
    """The ids of the experiment's runs in the folder `runs`, newest first, and after them those of MLflow.

    Raises `RunEnvironmentException` when MLflow cannot be reached.
    """
    from mldeploy_jupyter.core.runs.mlflow_run import list_mlflow_runs

    states = read_states(runs)
    here = [id for id, state in states if (state.get("experiment") or DEFAULT_EXPERIMENT) == experiment]
    return here + list_mlflow_runs(experiment)
