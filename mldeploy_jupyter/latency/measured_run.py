"""`MeasuredRun`: what a run measured, as samples and rows of numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from mldeploy_jupyter.core.errors import UserErrorException
from mldeploy_jupyter.latency.measuring import DEPLOYMENT, Ending
from mldeploy_jupyter.latency.plan import LatencyPlan
from mldeploy_jupyter.latency.statistics import QUANTILES, percentile_name
from mldeploy_jupyter.latency.summary import By, group_samples, latencies, leave_out, summarise

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Samples = NDArray[np.void]


@dataclass(frozen=True, eq=False)
class MeasuredRun:
    """A run of the latency lab.

    `ending` says how it went (`latency/measuring.py`). Samples and rows are read when they are first used.
    """

    id: str
    plan: LatencyPlan
    ending: Ending
    read_samples: Callable[[], Samples] = field(repr=False)
    known_rows: Sequence[dict[str, Any]] | None = field(default=None, repr=False)

    @cached_property
    def samples(self) -> Samples:
        """A numpy array with one record for each request; `latency/recording.py` has its fields."""
        return self.read_samples()

    @cached_property
    def counted(self) -> Samples:
        """The samples that numbers and pictures are made of: all, or those outside of `ending.left_out`."""
        return leave_out(self.samples, self.ending.left_out)

    @property
    def begun(self) -> str:
        """ISO 8601, in UTC."""
        return self.ending.begun

    @property
    def ended(self) -> str:
        """ISO 8601, in UTC."""
        return self.ending.ended

    @property
    def valid(self) -> bool:
        """Whether the load was sent as planned. The numbers of a run that is not valid say nothing of the services."""
        return not self.ending.invalid_reason

    @property
    def invalid_reason(self) -> str:
        return self.ending.invalid_reason

    @property
    def left_out(self) -> list[list[float]]:
        """The blocks, as `ending` has them, that `counted` lacks."""
        return [block for block in self.ending.blocks if block[0] in self.ending.left_out]

    @property
    def rate(self) -> float | None:
        """Requests a second that were planned, also where the rate was chosen; None in a ramp and a closed loop."""
        return self.ending.rate

    @property
    def notes(self) -> list[str]:
        """What happened in the run, a line each."""
        names = [service.name for service in self.plan.services]
        return [_note(note, names) for note in self.ending.notes]

    @property
    def marks(self) -> list[tuple[float, str]]:
        """Deployments of the services meanwhile: seconds since the run began, and a word about each."""
        several = len(self.plan.services) > 1
        return [
            (
                float(note["time"]),
                _note_words(note, [service.name for service in self.plan.services] if several else []),
            )
            for note in self.ending.notes
            if note.get("kind") == DEPLOYMENT
        ]

    # Numbers ----------------------------------------------------------------------------------------------------

    @property
    def services(self) -> list[dict[str, Any]]:
        """The services as data: name, workspace, target, address, and the revision when the run began."""
        return [service.to_dict() for service in self.plan.services]

    def rows(self, by: By = "service") -> list[dict[str, Any]]:
        """One dict of plain data for each service, or `by` "revision" or "step" (of a ramp). Times in milliseconds.

        `summary.summarise` says what the keys mean. Raises `UserErrorException` for another `by`.
        """
        if by not in ("service", "revision", "step"):
            raise UserErrorException(
                f"by is {by!r}", why="rows are by service, revision or step", hint='leave it out, or pass by="revision"'
            )
        if by == "service":
            return [dict(row) for row in self._service_rows]
        return summarise(self.counted, self.plan, by)

    @cached_property
    def _service_rows(self) -> list[dict[str, Any]]:
        return list(self.known_rows) if self.known_rows is not None else summarise(self.counted, self.plan)

    def percentile(self, quantile: float, service: str | None = None) -> float | None:
        """One percentile of a service's latencies in milliseconds, as `percentile(0.99)`; None without enough data.

        `service` may be left out of a run of one service. Raises `UserErrorException` for a quantile that the run's
        rows do not have, or a service that was not measured.
        """
        if quantile not in QUANTILES:
            known = ", ".join(f"{each:g}" for each in QUANTILES)
            raise UserErrorException(
                f"there is no percentile {quantile!r}", why=f"a run has {known}", hint="pass one of them, such as 0.99"
            )
        names = [planned.name for planned in self.plan.services]
        if service not in names and (service is not None or len(names) > 1):
            raise UserErrorException(
                f"{service} was not measured in this run" if service else "which service is meant?",
                why=f"its services are {', '.join(names)}",
                hint=f"pass service={names[0]!r}",
            )
        rows = [row for row in self._service_rows if service in (None, row["service"])]
        value: float | None = rows[0][percentile_name(quantile)] if rows else None
        return value

    @cached_property
    def groups(self) -> dict[str, Any]:
        """The measured samples of each service, by name; with the workspace where two have the same name."""
        names = [service.name for service in self.plan.services]
        found = {}
        for group in group_samples(self.counted, len(names)):
            planned = self.plan.services[group.service]
            name = planned.name if names.count(planned.name) == 1 else f"{planned.name} ({planned.workspace})"
            found[name] = group.samples
        return found

    def spectra(self) -> dict[str, Any]:
        """The latencies of each service in milliseconds, in ascending order."""
        import numpy as np

        return {name: np.sort(latencies(samples)) for name, samples in self.groups.items()}


def _note(note: dict[str, Any], names: Sequence[str]) -> str:
    return f"at {note.get('time', 0.0):.1f} s: {_note_words(note, names)}"


def _note_words(note: dict[str, Any], names: Sequence[str]) -> str:
    index = note.get("service", -1)
    name = f"{names[index]} " if isinstance(index, int) and 0 <= index < len(names) else ""
    return f"{name}{note.get('text', '')}"
