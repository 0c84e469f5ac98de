"""`LatencyResult`: a run with its tables, sentences and pictures, compared, saved, and read again."""

from __future__ import annotations

import base64
import json
import zlib
from builtins import list as List  # `LatencyResult.list` hides the name inside the class
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from mldeploy_jupyter.core.errors import UserErrorException
from mldeploy_jupyter.latency.comparison import LatencyComparison, compare_runs
from mldeploy_jupyter.latency.html import run_html
from mldeploy_jupyter.latency.measured_run import MeasuredRun
from mldeploy_jupyter.latency.measuring import Ending
from mldeploy_jupyter.latency.plan import LatencyPlan
from mldeploy_jupyter.latency.report import describe_plan, describe_run, make_verdict
from mldeploy_jupyter.latency.saved import SavedRun, list_runs, read_run
from mldeploy_jupyter.latency.summary import By

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from mldeploy_jupyter.core.workspace.folder import WorkspaceFolder

    Samples = NDArray[np.void]

FORMAT = 1  # of `to_json`

SAME_LOAD = 1.1  # by how much the loads of two runs may differ whose latencies are compared


@dataclass(frozen=True, eq=False, repr=False)
class LatencyResult(MeasuredRun):
    """A run of the latency lab: what it measured, what that means, and how to keep it.

    `plan` and `ending` say what was measured and how it went; `samples` has one record for each request. `previous` is
    the earlier run that the verdict compares it with, for a run that was just made.
    """

    previous: LatencyResult | None = None

    def summary(self, by: By = "service") -> pd.DataFrame:
        """`rows(by)` as a DataFrame whose index is the service. Raises `UserErrorException` without pandas."""
        try:
            import pandas as pd
        except ImportError:
            raise UserErrorException(
                "summary() makes a DataFrame, and pandas is not installed",
                why="this package does not need pandas otherwise",
                hint="%pip install pandas, or use result.rows(), which gives the same as dicts",
            ) from None
        rows = self.rows(by)
        keys = ["service"] if by == "service" else ["service", by]
        return pd.DataFrame(rows).set_index(keys) if rows else pd.DataFrame()

    # Sentences and comparisons ----------------------------------------------------------------------------------

    @property
    def verdict(self) -> List[str]:
        """What the run says, in sentences: is it valid, what is missing, how do its services differ, what changed."""
        return self.judge(self.previous)

    def judge(self, against: LatencyResult | None = None) -> List[str]:
        """The verdict, with a comparison of each service with itself in an earlier run."""
        return make_verdict(self, against)

    def compare(self, other: LatencyResult | None = None) -> LatencyComparison:
        """Each service against itself in the run `other`, or, without one, against the first service of this run.

        Two runs of one service each are compared whatever their names are. Intervals and p-values are by a bootstrap
        over blocks, corrected for the number of quantiles (Holm). Raises `UserErrorException` for an `other` that is no
        result, or when the runs have no service in common.
        """
        if other is not None and not isinstance(other, LatencyResult):
            raise UserErrorException(
                f"other is of type {type(other).__name__}",
                why="a run is compared with another LatencyResult",
                hint="pass what service.latency() returned, or LatencyResult.load(ws, ID)",
            )
        return compare_runs(self, other)

    def find_previous(self, workspace: Any) -> LatencyResult | None:
        """The newest earlier run in the workspace that this one can be compared with; None when there is none.

        It measured the same services in the same way: the same loop and kind of payload, a rate or a number of users
        that differs by at most `SAME_LOAD`, and it is valid. A ramp is not compared.
        """
        if self.plan.ramp is not None:
            return None
        for run in LatencyResult.list(workspace, self.plan.services[0].name):
            if run.id < self.id and _is_like(run, self):
                return run
        return None

    # As data and as pictures --------------------------------------------------------------------------------------

    @classmethod
    def list(cls, workspace: Any, service: str | None = None) -> List[LatencyResult]:
        """The runs that the workspace keeps, newest first; with `service` those that measured it."""
        return [cls._from_saved(run) for run in list_runs(_folder_of(workspace), service)]

    @classmethod
    def load(cls, workspace: Any, id: str) -> LatencyResult:
        """The run of that id. Raises `RunNotFound`, a `WebserviceException`, when the workspace does not have it."""
        return cls._from_saved(read_run(_folder_of(workspace), id))

    @classmethod
    def _from_saved(cls, run: SavedRun) -> LatencyResult:
        ending = run.ending or Ending("running" if run.running else "interrupted", begun=run.begun)
        rows = run.more.get("rows") if run.ending is not None else None
        return cls(run.id, run.plan, ending, run.read_samples, rows)

    def to_dict(self) -> dict[str, Any]:
        """Everything but the samples, as plain data."""
        return {"format": FORMAT, "id": self.id, "plan": self.plan.to_dict(), "ending": self.ending.to_dict()}

    def to_json(self) -> str:
        """The whole result as JSON, exactly: `from_json` returns the same samples."""
        from mldeploy_jupyter.latency.recording import sample_dtype

        content = self.samples.astype(sample_dtype(), copy=False).tobytes()
        packed = base64.b64encode(zlib.compress(content)).decode("ascii")
        return json.dumps({**self.to_dict(), "samples": packed})

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The result that `to_json` wrote, in whichever version. Raises `UserErrorException` for other text."""
        import numpy as np

        from mldeploy_jupyter.latency.recording import sample_dtype

        try:
            data = json.loads(text)
            samples = np.frombuffer(zlib.decompress(base64.b64decode(data.pop("samples"))), sample_dtype())
            plan, ending = LatencyPlan.from_dict(data["plan"]), Ending.from_dict(data["ending"])
            return cls(str(data["id"]), plan, ending, lambda: samples)
        except (ValueError, KeyError, TypeError, AttributeError, zlib.error) as error:
            raise UserErrorException(
                "this is not a result of the latency lab",
                why=f"{type(error).__name__}: {error}",
                hint="pass the text that result.to_json() gave",
            ) from None

    def figure(self, kind: str = "spectrum", *, dark: bool | None = None, budget: float | None = None) -> Any:
        """A plotly figure: "spectrum", "ecdf", "heatmap", "parts", or "ramp" of a run with a ramp.

        It is `dark` where JupyterLab is, unless you say so. `budget` is a limit in milliseconds to draw. Raises
        `UserErrorException` for another kind.
        """
        from mldeploy_jupyter.latency.figures import make_figure

        return make_figure(self, kind, dark=dark, budget=budget)

    def __str__(self) -> str:
        return describe_run(self, self.previous)

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(str(self))

    def __repr__(self) -> str:
        names = ", ".join(service.name for service in self.plan.services)
        count = sum(row["requests"] for row in self.rows())
        return f"LatencyResult({self.id}: {names}, {count:,} requests{'' if self.valid else ', invalid'})"

    def _repr_html_(self) -> str:
        return self.to_html()

    def to_html(self, picture: bool = True) -> str:
        """Table and verdict, and with `picture` the spectrum, or the ramp of a run with one, as SVG."""
        lines = [*self.verdict, *(f"note: {note}" for note in self.notes)]
        text = run_html(self.rows(), describe_plan(self), lines)
        if not picture or not self.rows():
            return text
        from mldeploy_jupyter.latency.figures import make_svg

        return f"{text}\n{make_svg(self, 'spectrum' if self.plan.ramp is None else 'ramp')}"


def _is_like(run: LatencyResult, other: LatencyResult) -> bool:
    names = [sorted(service.name for service in each.plan.services) for each in (run, other)]
    kinds = [(each.plan.mode, each.plan.arrivals, each.plan.payload.kind, each.plan.ramp) for each in (run, other)]
    loads = [each.rate or float(each.plan.users or 0) for each in (run, other)]
    alike = max(loads) <= SAME_LOAD * min(loads)
    return run.valid and names[0] == names[1] and kinds[0] == kinds[1] and alike and run.ending.reason == "finished"


def _folder_of(workspace: Any) -> WorkspaceFolder:
    # The class is inspected, not the object: reading `workspace.folder` would create the folder.
    if not hasattr(type(workspace), "find_folder"):
        raise UserErrorException(
            f"workspace is {workspace!r}", why="it must be a Workspace", hint="ws = Workspace.get(), and pass ws"
        )
    folder: WorkspaceFolder = workspace.folder
    return folder
