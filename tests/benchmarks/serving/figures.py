"""The benchmark's arithmetic: medians over rounds, ratios within rounds, and the floors the server must reach."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from .servers import OWN_LOOP, WITH_DUTIES
from .turn import Measured

Key = tuple[str, str, int]  # server, work, connections
Quantity = Literal["rate", "p50", "p99", "cpu"]


class Rounds:
    """What was measured, by server, work, connections and round. A round may lack what failed in it."""

    def __init__(self) -> None:
        self.found: dict[Key, dict[int, Measured]] = {}

    def add(self, turn: int, measured: Iterable[Measured]) -> None:
        for one in measured:
            self.found.setdefault((one.server, one.work, one.connections), {})[turn] = one

    def median(self, key: Key, quantity: Quantity) -> float | None:
        values = [getattr(one, quantity) for one in self.found.get(key, {}).values()]
        return statistics.median(values) if values else None

    def ratio(self, one: Key, other: Key, quantity: Quantity) -> float | None:
        """The median over the rounds of one's quantity divided by the other's in the same round: drift cancels."""
        first, second = self.found.get(one, {}), self.found.get(other, {})
        ratios = [
            getattr(first[turn], quantity) / getattr(second[turn], quantity)
            for turn in first
            if turn in second and getattr(second[turn], quantity) > 0
        ]
        return statistics.median(ratios) if ratios else None


@dataclass(frozen=True)
class Verdict:
    """One floor: what it is about, what was wanted, what was got (None: not measured)."""

    about: str
    wanted: float
    got: float | None
    at_least: bool = True
    unit: str = "x"

    @property
    def met(self) -> bool | None:
        """None when it was not measured."""
        if self.got is None:
            return None
        return self.got >= self.wanted if self.at_least else self.got <= self.wanted

    def __str__(self) -> str:
        word = {True: "met", False: "MISSED", None: "not measured"}[self.met]
        got = "-" if self.got is None else f"{self.got:.3g}"
        return f"{self.about:<66} {'>=' if self.at_least else '<='} {self.wanted:<5g} {got:>7} {self.unit:<3} {word}"


def _rates(of: str, work: str, connections: int, peer: str, wanted: float) -> Callable[[Rounds], Verdict]:
    def judge(rounds: Rounds) -> Verdict:
        got = rounds.ratio(("ours", work, connections), (peer, of, connections), "rate")
        return Verdict(f"{work}, {connections} connections: requests/s, ours / {peer}", wanted, got)

    return judge


def _at_most(quantity: Quantity, words: str, connections: int, peer: str, wanted: float) -> Callable[[Rounds], Verdict]:
    def judge(rounds: Rounds) -> Verdict:
        got = rounds.ratio(("ours", "small", connections), (peer, "small", connections), quantity)
        return Verdict(f"small, {connections} connections: {words}, ours / {peer}", wanted, got, at_least=False)

    return judge


def _no_loss_alone(rounds: Rounds) -> Verdict:
    got = rounds.ratio(("ours", "batch", 1), ("ours", "small", 1), "rate")
    return Verdict("batch, 1 connection: requests/s, with / without batching", 0.95, got)


def _large_alone(rounds: Rounds) -> Verdict:
    return Verdict("large, 1 connection: p99", 5.0, rounds.median(("ours", "large", 1), "p99"), False, "ms")


FLOORS: tuple[Callable[[Rounds], Verdict], ...] = (
    _rates("small", "small", 64, "azureml", 4.5),
    _rates("small", "small", 64, "fastapi async", 1.7),
    _rates("small", "small", 8, "azureml", 3.8),
    _rates("small", "small", 8, "fastapi async", 1.25),
    _at_most("p99", "p99", 64, "azureml", 1.0),
    _at_most("p99", "p99", 64, "fastapi async", 1.0),
    _at_most("p99", "p99", 8, "azureml", 1.0),
    _at_most("p99", "p99", 8, "fastapi async", 1.0),
    _at_most("cpu", "processor time a request", 64, "uvicorn", 1.25),
    _at_most("cpu", "processor time a request", 8, "uvicorn", 1.25),
    _rates("small", "batch", 8, "azureml", 8.0),
    _rates("small", "batch", 64, "azureml", 20.0),
    _no_loss_alone,
    _rates("large", "large", 8, "azureml", 3.0),
    _rates("large", "large", 64, "azureml", 3.0),
    _large_alone,
    _rates("raw", "raw", 8, "azureml", 2.5),
    *(
        _rates(work, work, connections, peer, wanted)
        for work, connections, of_own_loop in (
            ("small", 1, 0.78),
            ("small", 8, 0.78),
            ("small", 64, 0.8),
            ("batch", 8, 0.8),
            ("batch", 64, 0.55),
            ("raw", 8, 0.78),
        )
        for peer, wanted in ((OWN_LOOP, of_own_loop), (WITH_DUTIES, 0.9))
    ),
)


def verdicts(rounds: Rounds) -> list[Verdict]:
    """Every floor of throughput, latency and processor time, judged."""
    return [judge(rounds) for judge in FLOORS]
