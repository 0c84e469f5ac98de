"""The data of the figures: the samples of a run, its plan, and moments to mark."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mldeploy_jupyter.latency.recording import Outcome, Phase
from mldeploy_jupyter.latency.summary import group_samples, latencies

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from mldeploy_jupyter.latency.plan import LatencyPlan


@dataclass(frozen=True)
class Measured:
    """The samples of a run (`recording.py` has their fields) and its plan.

    `marks` are moments in seconds since the run began, each with a word, such as a deployment. `budget` is a latency in
    milliseconds that is drawn as a limit.
    """

    samples: Any
    plan: LatencyPlan
    marks: Sequence[tuple[float, str]] = ()
    budget: float | None = None

    @property
    def names(self) -> list[str]:
        """What the services are called: by their workspace, too, where two have one name."""
        names = [service.name for service in self.plan.services]
        return [
            f"{service.name} ({service.workspace})" if names.count(service.name) > 1 else service.name
            for service in self.plan.services
        ]


@dataclass(frozen=True)
class Series:
    """The measured requests of a service, or of one of its revisions (not 0) where there are several.

    `latency` is that of each sample, in milliseconds; `style` tells the series of a picture apart.
    """

    name: str
    service: int
    revision: int
    style: int
    samples: NDArray[np.void]
    latency: NDArray[np.float64]


def series(measured: Measured, by_revision: bool = True) -> Iterator[Series]:
    """The series of a run, in the order of its services and revisions."""
    names, services = measured.names, len(measured.plan.services)
    revisions = list(group_samples(measured.samples, services, "revision")) if by_revision else []
    style = 0
    for group in group_samples(measured.samples, services):
        own = [each for each in revisions if each.service == group.service]
        for part in own if len(own) > 1 else [group]:
            name = names[part.service] + (f", revision {part.number}" if part.number else "")
            yield Series(name, part.service, part.number, style, part.samples, latencies(part.samples))
            style += 1


def failure_notes(measured: Measured) -> list[str]:
    """What has no latency but that of its failure: `diabetes: 2 failed, 5 never sent, of 1,000`."""
    notes = []
    names = measured.names
    for group in group_samples(measured.samples, len(names)):
        outcomes = group.samples["outcome"]
        dropped = int((outcomes == Outcome.DROPPED).sum())
        failed = int((outcomes != Outcome.OK).sum()) - dropped
        said = [f"{failed:,} failed" if failed else "", f"{dropped:,} never sent" if dropped else ""]
        if any(said):
            notes.append(f"{names[group.service]}: {', '.join(word for word in said if word)}, of {len(outcomes):,}")
    return notes


def only_measured(samples: Any) -> Any:
    """The samples without cold starts and warm-up."""
    return samples[samples["phase"] == Phase.MEASURED]
