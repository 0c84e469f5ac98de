"""A soak at half of capacity: do memory, descriptors and threads stay as they are?

    python -m tests.benchmarks.soak [--seconds 600] [--workers 1]

The capacity is what the client gets answered without a pause, right before. Then it sends half of that, open loop,
half on kept and half on fresh connections, while every process of the service is sampled each ten seconds (thirty times
in a shorter run). A line is fitted through the second half's sums (the median of the slopes between all pairs, so that
a moment's crowd does not count): what it says was gained in that half must stay below the limits that are printed. When
the clients have gone, as many descriptors must be open as before they came. The exit code is 1 when one of these is not
so, or when a request failed. Where neighbours take the
machine, half of the capacity may for a moment be more than all of it: of the requests, one in a hundred may be refused
(429).
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.serving import processes
from tests.benchmarks.serving.open_load import Failure, Said
from tests.benchmarks.serving.site import Client, Site, capacity, site

CAPACITY_SECONDS = 5.0
MEGABYTES = 1e6
REFUSED = 0.01  # of the requests may be
LIMITS = {
    "memory, MB": 3.0,
    "RSS, MB": 3.0,
    "PSS, MB": None,
    "descriptors": None,
    "threads": 0.5,
    "processes": 0.5,
}
"""What the fitted line may gain over the second half. `memory` is PSS without the pages of files: those are divided by
all who use the same libraries, so a neighbour that ends makes PSS grow, and it is shown and not judged. Descriptors are
judged after the load; while it lasts, connections come and go between two looks."""
LEFT = 2  # descriptors more than before that may be open after the load
SETTLING = 3.0  # seconds until the clients' connections are gone


@dataclass(frozen=True)
class Sample:
    """Every process of the service at one moment: seconds since the load began."""

    seconds: float
    weights: list[processes.Weight]

    def sums(self) -> dict[str, float]:
        return {
            "memory, MB": sum(one.own for one in self.weights) / MEGABYTES,
            "PSS, MB": sum(one.pss for one in self.weights) / MEGABYTES,
            "RSS, MB": sum(one.rss for one in self.weights) / MEGABYTES,
            "descriptors": float(sum(one.descriptors for one in self.weights)),
            "threads": float(sum(one.threads for one in self.weights)),
            "processes": float(len(self.weights)),
        }


@dataclass(frozen=True)
class Trend:
    """One quantity: at the start, at the end, and what the line through the second half gains in it."""

    quantity: str
    first: float
    last: float
    gained: float
    limit: float | None

    @property
    def flat(self) -> bool:
        return self.limit is None or self.gained <= self.limit

    def __str__(self) -> str:
        word = "" if self.limit is None else f" (limit {self.limit:g}) {'flat' if self.flat else 'GROWS'}"
        return (
            f"{self.quantity:<12} {self.first:>9.1f} first {self.last:>9.1f} last "
            f"{self.gained:>+8.2f} in the second half{word}"
        )


@dataclass(frozen=True)
class Soaked:
    """A whole run."""

    capacity: float
    said: Said
    samples: list[Sample]
    before: Sample
    after: Sample

    @property
    def left(self) -> int:
        """Descriptors more than before the load that are open after it."""
        return round(self.after.sums()["descriptors"] - self.before.sums()["descriptors"])

    @property
    def trends(self) -> list[Trend]:
        return trends(self.samples)

    @property
    def failures(self) -> list[Failure]:
        """All that went wrong except for refusals."""
        return [failure for failure in self.said.failures if not failure.refused]

    @property
    def refused(self) -> int:
        return len(self.said.failures) - len(self.failures)

    @property
    def good(self) -> bool:
        few = self.refused <= REFUSED * self.said.requests
        return not self.failures and few and self.left <= LEFT and all(trend.flat for trend in self.trends)


def gained(points: Sequence[tuple[float, float]]) -> float:
    """What the line through the points gains from the first to the last. Raises `ValueError` for fewer than 3 points.

    Its slope is the median of those between all pairs of points.
    """
    if len(points) < 3:
        raise ValueError(f"a line through {len(points)} samples says nothing")
    slopes = [(later[1] - one[1]) / (later[0] - one[0]) for one, later in itertools.combinations(points, 2)]
    return statistics.median(slopes) * (points[-1][0] - points[0][0])


def trends(samples: list[Sample]) -> list[Trend]:
    """Every quantity's trend over the second half of the samples."""
    second = samples[len(samples) // 2 :]
    return [
        Trend(
            name,
            samples[0].sums()[name],
            samples[-1].sums()[name],
            gained([(sample.seconds, sample.sums()[name]) for sample in second]),
            limit,
        )
        for name, limit in LIMITS.items()
    ]


def soak(place: Site, seconds: float) -> Soaked:
    """Loads the service at half of its capacity and samples it. Raises `RuntimeError` when the client breaks."""
    key, url = place.service.get_keys()[0], place.service.scoring_uri
    most = capacity(url, key, min(CAPACITY_SECONDS, seconds / 10))
    pid = place.facts["pid"]
    time.sleep(SETTLING)
    before = Sample(0.0, processes.weigh([pid]))
    pause = min(10.0, seconds / 30)
    client = Client(url, key, most / 2, seconds)
    samples = []
    try:
        begin = time.monotonic()
        while (now := time.monotonic() - begin) < seconds - pause / 2:
            samples.append(Sample(now, processes.weigh([pid])))
            time.sleep(max(0.0, begin + len(samples) * pause - time.monotonic()))
        said = client.end()
        time.sleep(SETTLING)
        after = Sample(time.monotonic() - begin, processes.weigh([pid]))
        return Soaked(most, said, samples, before, after)
    finally:
        client.close()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--workers", type=int, default=1)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder, site(Path(folder), given.workers) as place:
        soaked = soak(place, given.seconds)
    print(report(soaked))
    return int(not soaked.good)


def report(soaked: Soaked) -> str:
    """The run as text."""
    said = soaked.said
    middle, high, greatest = said.milliseconds
    lines = [
        f"capacity {soaked.capacity:,.0f} requests/s; {said.requests} requests in {said.seconds:.0f} s at half of it",
        f"{len(soaked.failures)} failed, {soaked.refused} refused, {said.late} sent late by the client; "
        f"median {middle:.1f} ms, p99 {high:.1f} ms, slowest {greatest:.0f} ms",
        *(str(trend) for trend in soaked.trends),
        f"after the load {soaked.left:+d} descriptors to before it (limit {LEFT:+d})",
        "at the end: " + "; ".join(
            f"{one.name} {one.own / MEGABYTES:.1f} MB, {one.descriptors} descriptors, {one.threads} threads"
            for one in soaked.samples[-1].weights
        ),
        *(f"failed: {failure.why}" for failure in soaked.failures[:5]),
        "met" if soaked.good else "MISSED",
    ]  # fmt: skip
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
