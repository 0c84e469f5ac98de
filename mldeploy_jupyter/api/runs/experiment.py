"""`Experiment`: the runs that have one name, under v1's name."""

from __future__ import annotations

from builtins import list as List  # `Experiment.list` hides the name inside the class
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

from mldeploy_jupyter.api.arguments import WorkspaceLike, check_text, check_workspace
from mldeploy_jupyter.api.azure_names import EXPERIMENT, AzureNames
from mldeploy_jupyter.api.runs.relations import begin_run
from mldeploy_jupyter.api.runs.run import Run
from mldeploy_jupyter.core.errors import UserErrorException
from mldeploy_jupyter.core.runs import list_experiments, list_runs


class Experiment(AzureNames):
    """The runs of the workspace, and of MLflow's tracking store, that have the experiment's name.

    It is created with its first run. Raises `UserErrorException` when `name` is not text or empty. v1's other
    parameters have no effect.
    """

    _azure_owner, _azure_names = "experiment", EXPERIMENT

    def __init__(self, workspace: WorkspaceLike, name: str, **v1: Any) -> None:
        self.workspace = self.workspace_object = check_workspace(workspace)
        if not check_text("name", name) or not name.isprintable():
            raise UserErrorException(
                f"{name!r} is not a name for an experiment",
                why="it is a text of one line",
                hint='such as Experiment(ws, "churn")',
            )
        self.name = self.id = name

    @staticmethod
    def list(workspace: WorkspaceLike, experiment_name: str | None = None, **v1: Any) -> List[Experiment]:
        """The experiments that have runs, by name; only the one of `experiment_name` if that is given.

        Raises `RunEnvironmentException` when MLflow is in use and cannot be reached.
        """
        folder = check_workspace(workspace).find_folder()
        names = list_experiments(folder.runs if folder else None)
        return [Experiment(workspace, name) for name in names if experiment_name in (None, name)]

    def start_logging(
        self, outputs: Any = None, snapshot_directory: Any = ".", *, display_name: str | None = None, **v1: Any
    ) -> Run:
        """Begins a run, whose metrics and files are kept in the workspace. End it with `run.complete()`, or use `with`.

        `outputs`, `snapshot_directory` and others of v1 have no effect: upload files with `run.upload_file`.
        """
        name = check_text("display_name", display_name)
        return Run(self.workspace, begin_run(self.workspace, experiment=self.name, name=name))

    def get_runs(
        self,
        type: Any = None,
        tags: Any = None,
        properties: Any = None,
        status: str | None = None,
        include_children: bool = False,
    ) -> Iterator[Run]:
        """The experiment's runs, newest first; those below others only with `include_children`.

        `tags` and `properties` are filters as in `Model.list`, `status` is one such as "Completed". `type` is v1's and
        has no effect. Raises `RunEnvironmentException` when MLflow is in use and cannot be reached.
        """
        folder = self.workspace.find_folder()
        for id in list_runs(folder.runs if folder else None, self.name):
            run = Run(self.workspace, id)
            if run.matches(tags, properties, status) and (include_children or run.parent is None):
                yield run

    def submit(self, config: Any = None, tags: Any = None, **kwargs: Any) -> NoReturn:
        """Raises `UserErrorException`: training on Azure's machines is outside of what this package does."""
        raise UserErrorException(
            "Experiment.submit() is not in mldeploy-jupyter",
            why="this package does not submit training runs",
            hint="train in the notebook below `with experiment.start_logging() as run:`, then run.register_model(...)",
        )

    def refresh(self) -> None:
        """Does nothing: an experiment is read when it is asked."""

    def get_portal_url(self) -> str:
        """The URL of the folder that has the workspace's runs."""
        folder = self.workspace.find_folder()
        path = folder.runs if folder else Path(self.workspace.start)
        return path.absolute().as_uri()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Experiment) and (self.workspace, self.name) == (other.workspace, other.name)

    def __hash__(self) -> int:
        return hash(self.name)

    def __repr__(self) -> str:
        return f"Experiment(workspace={self.workspace!r}, name={self.name!r})"
