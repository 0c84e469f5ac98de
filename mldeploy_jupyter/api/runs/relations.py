"""A run's experiment, its parent and children, the wait for its end, and v1's calls that need Azure."""

from __future__ import annotations

import secrets
import time
from builtins import list as List  # `RunRelations` has members of these names
from builtins import type as Type
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol, Self, cast

from mldeploy_jupyter.api.arguments import WorkspaceLike, azure_method, check_text, check_whole_number
from mldeploy_jupyter.api.azure_names import RUN, AzureNames
from mldeploy_jupyter.api.tag_filters import matches, parse_filter
from mldeploy_jupyter.core.errors import RunEnvironmentException, UserErrorException
from mldeploy_jupyter.core.runs import DEFAULT_EXPERIMENT, list_runs
from mldeploy_jupyter.core.runs.backend import RunBackend
from mldeploy_jupyter.core.runs.folder_run import FolderRun, check_run_id

POLL_SECONDS = 1.0  # between two checks of the status of a run that another process carries out

TERMINAL = ("Completed", "Failed", "Canceled")

_begun_here: set[str] = set()  # ids of the runs that this process began, which only it ends


def new_run_id() -> str:
    """A unique id that contains the time (UTC) at which the run began."""
    return f"run-{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(4)}"


def begin_run(workspace: WorkspaceLike, *, experiment: str | None = None, name: str | None = None) -> str:
    """Begins a run in the workspace, which is created when there is none, and returns its id."""
    id = new_run_id()
    FolderRun(workspace.folder.runs / id).begin(experiment=experiment, name=name)
    _begun_here.add(id)
    return id


class ExperimentLike(Protocol):
    """The part of `Experiment` that a run's user reads. The class itself is above runs."""

    name: str
    workspace: WorkspaceLike


class RunRelations(AzureNames):
    """The part of `Run` that is about other runs, the experiment and the end."""

    _azure_owner, _azure_names = "run", RUN

    workspace: WorkspaceLike
    id: str
    _backend: RunBackend

    # By the class that `Run` is.
    get_status: Callable[[], str]
    get_details: Callable[[], dict[str, Any]]
    complete: Callable[[], None]
    fail: Callable[..., None]

    if TYPE_CHECKING:

        def __init__(self, workspace: Any = None, id: str | None = None) -> None: ...
        @property
        def tags(self) -> dict[str, Any]: ...
        @property
        def properties(self) -> dict[str, Any]: ...

    @property
    def experiment(self) -> ExperimentLike:
        """The run's experiment, with `.name` and `.workspace`; "Default" for a run that was begun without one."""
        # By name: `Experiment` begins runs, so its module is above this one.
        found: ExperimentLike = import_module("mldeploy_jupyter.api.runs.experiment").Experiment(
            self.workspace, self._backend.experiment_name or DEFAULT_EXPERIMENT
        )
        return found

    @staticmethod
    def list(experiment: Any, *args: Any, **filters: Any) -> Iterator[Any]:
        """The runs of an `Experiment`: as its `get_runs`, whose filters it takes.

        Raises `UserErrorException` for what is not an experiment.
        """
        if not hasattr(experiment, "get_runs"):
            raise UserErrorException(
                f"experiment is {experiment!r:.80}",
                why="it must be an Experiment",
                hint='such as ws.experiments["churn"]',
            )
        return cast("Iterator[Any]", experiment.get_runs(*args, **filters))

    @property
    def number(self) -> int:
        """The run's place among those of its experiment, 1 for the oldest."""
        folder = self.workspace.find_folder()
        ids = list_runs(folder.runs if folder else None, self._backend.experiment_name or DEFAULT_EXPERIMENT)
        return len(ids) - ids.index(self.id) if self.id in ids else 1

    @property
    def name(self) -> str:
        """The name given to `start_logging` or `child_run`, or that of MLflow; otherwise the id."""
        return self._backend.get_name() or self.id

    display_name = name

    @property
    def parent(self) -> Self | None:
        """The run that this one was begun below, or None."""
        id = self._backend.parent_id
        return None if id is None else type(self)(self.workspace, id)

    def child_run(self, name: str | None = None, run_id: str | None = None, outputs: Any = None) -> Self:
        """Begins a run below this one. `outputs` is v1's and has no effect.

        Raises `UserErrorException` for a `run_id` that is invalid or taken.
        """
        check_text("name", name)
        id = self._backend.begin_child(new_run_id() if run_id is None else check_run_id(run_id), name)
        _begun_here.add(id)
        return type(self)(self.workspace, id)

    def create_children(self, count: int | None = None, tag_key: Any = None, tag_values: Any = None) -> List[Self]:
        """Begins `count` runs below this one. The other parameters are v1's and have no effect."""
        return [self.child_run() for _ in range(check_whole_number("count", 1 if count is None else count, 0))]

    def get_children(
        self, recursive: bool = False, tags: Any = None, properties: Any = None, type: Any = None, status: Any = None
    ) -> Iterator[Self]:
        """The runs directly below this one, newest first; with `recursive` also those below them.

        `tags` and `properties` are filters as in `Model.list`, `status` is one such as "Completed". `type` is v1's and
        has no effect.
        """
        for id in self._backend.list_children(recursive):
            child = self.__class__(self.workspace, id)
            if child.matches(tags, properties, status):
                yield child

    def matches(self, tags: Any = None, properties: Any = None, status: str | None = None) -> bool:
        """Whether the run has these tags, properties and status; None accepts all."""
        wanted_tags, wanted_properties = parse_filter("tags", tags), parse_filter("properties", properties)
        return (
            (not wanted_tags or matches(self.tags, wanted_tags))
            and (not wanted_properties or matches(self.properties, wanted_properties))
            and (status is None or status == self.get_status())
        )

    def wait_for_completion(
        self, show_output: bool = False, wait_post_processing: bool = False, raise_on_error: bool = True
    ) -> dict[str, Any]:
        """Waits until the run has ended and returns `get_details()`. `wait_post_processing` is v1's.

        Raises `RunEnvironmentException` when it failed, unless `raise_on_error` is False, and when this process began
        it and has not ended it, since no other process would.
        """
        if show_output:
            print(f"RunId: {self.id}\n{self.get_portal_url()}")
        while self.get_status() not in TERMINAL:
            if self.id in _begun_here:
                raise RunEnvironmentException(
                    f"the run {self.id} would be waited for without an end",
                    why="it was begun in this process, which has not ended it",
                    hint="call run.complete() first, or write `with experiment.start_logging() as run:`",
                )
            time.sleep(POLL_SECONDS)
        status = self.get_status()
        if show_output:
            print(f"Status: {status}")
        if status == "Failed" and raise_on_error:
            raise RunEnvironmentException(
                f"the run {self.id} failed",
                why=str(self.tags.get("error") or "it says no reason"),
                hint="run.get_details() has more; raise_on_error=False returns it",
            )
        return self.get_details()

    def get_portal_url(self) -> str:
        """Where a person finds the run: the URL of its folder, or of its page in MLflow."""
        return self._backend.url

    @property
    def description(self) -> str | None:
        """None: a run here has tags instead."""
        return None

    @property
    def type(self) -> str | None:
        """None: v1 had a name here for runs that were submitted."""
        return None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: Type[BaseException] | None, error: BaseException | None, trace: Any) -> None:
        """Ends the run: as Failed when the block raised, otherwise as Completed, unless the block has ended it."""
        if kind is not None:
            self.fail(f"{kind.__name__}: {error}")
        elif self.get_status() not in TERMINAL:
            self.complete()

    def get_details_with_logs(self) -> dict[str, Any]:
        """`get_details()`: a run has no logs of its own."""
        return self.get_details()

    def flush(self, timeout_seconds: float = 300) -> None:
        """Does nothing: what is logged is written at once."""

    start = flush

    @property
    def input_datasets(self) -> dict[str, Any]:
        """Empty, as is `output_datasets`: this package keeps no data sets."""
        return {}

    output_datasets = input_datasets

    get_output = azure_method(
        "run.get_output",
        "AutoML and HyperDrive are outside of what this package does",
        "train in the notebook, then run.upload_file(name, path) and run.register_model(...)",
    )
