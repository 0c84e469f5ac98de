"""What is measured, how, and within which limits: plain data, and the checks of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from mldeploy_jupyter.core.errors import UserErrorException
from mldeploy_jupyter.core.json_record import JsonRecord
from mldeploy_jupyter.latency.limits import ARRIVALS, MAX_RATE, MAX_USERS

MODES = ("open", "closed")

AUTO_RATE = 100.0  # requests a second at most, where the generator chooses the rate

AUTO_SHARE = 0.5  # of the rate that one connection reached in the warm-up: far below what makes a queue

LEAST_RATE = 0.1  # requests a second, where the generator chooses it

AUTO_WARMUP = 5  # warm-up requests that a rate can be chosen from

P99_REQUESTS = 1000  # that p99 needs, so that ten are slower

LEAST_SECONDS, MOST_SECONDS = 10.0, 120.0  # of load on each service, where the duration is chosen

EXTRA_SECONDS = 60.0  # of a run beside its load: connections, warm-up, requests that are still under way

PAYLOAD_KINDS = ("sample", "value", "lines", "function", "bytes")


@dataclass(frozen=True)
class PlannedService(JsonRecord):
    """One service of a run. `uri` is its scoring URI; its key is in no plan.

    `revision` is the one that served when the run was planned. With `cold` it has answered no request since it went
    live, so the first of this run is its cold start.
    """

    name: str
    uri: str
    workspace: str = ""
    target: str = ""
    revision: int = 0
    cold: bool = False


@dataclass(frozen=True)
class PlannedPayload(JsonRecord):
    """What is sent: `count` bodies of together `bytes` bytes, one after the other and from the first again.

    `kind` is one of `PAYLOAD_KINDS`.
    """

    kind: str = "sample"
    count: int = 1
    bytes: int = 0


@dataclass(frozen=True)
class LatencyPlan:
    """A run of the lab, as data.

    `mode` "open" sends `rate` requests a second, to each service in turn, at times that were planned before
    (`arrivals`); with `rate` None the generator chooses one after the warm-up. "closed" has `users`, of whom each sends
    the next request when the last is answered. `duration` is in seconds for each service, in a ramp for each service
    and step; with `until_p99` it is the most, and the generator shortens it to what p99 needs at the rate that it
    chooses. `ramp` has the rates of the steps, or the numbers of users. `warmup` is requests for each service.
    `timeout` is in seconds, from when a client turns to a request. `block` is the length, in seconds, of the turns in
    which services alternate; in a ramp a turn is a whole step. `connections` is the most for each service.
    """

    services: tuple[PlannedService, ...]
    mode: str = "open"
    rate: float | None = None
    users: int | None = None
    arrivals: str = "constant"
    duration: float = 10.0
    warmup: int = 20
    timeout: float = 30.0
    max_requests: int = 100_000
    block: float = 1.0
    ramp: tuple[float, ...] | None = None
    payload: PlannedPayload = field(default_factory=PlannedPayload)
    seed: int = 0
    connections: int = 256
    until_p99: bool = False

    def to_dict(self) -> dict[str, Any]:
        return {
            **vars(self),
            "services": [service.to_dict() for service in self.services],
            "ramp": None if self.ramp is None else list(self.ramp),
            "payload": self.payload.to_dict(),
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """The plan in `data`, which another version may have written: unknown keys are dropped."""
        given = {key: value for key, value in data.items() if key in cls.__dataclass_fields__}
        given["services"] = tuple(PlannedService.from_dict(service) for service in given["services"])
        given["ramp"] = None if given.get("ramp") is None else tuple(given["ramp"])
        given["payload"] = PlannedPayload.from_dict(given.get("payload") or {})
        return cls(**given)

    @property
    def steps(self) -> tuple[float | None, ...]:
        """The rate, or the number of users, of each step; one step without a ramp, None for a rate to be chosen."""
        if self.ramp is not None:
            return self.ramp
        return (1.0 if self.users is None else float(self.users),) if self.mode == "closed" else (self.rate,)

    @property
    def requests(self) -> int | None:
        """How many requests the run sends, with the warm-up; None when that depends on the services."""
        if self.mode == "closed" or None in self.steps:
            return None
        measured = sum(math.ceil(rate * self.duration) for rate in self.steps if rate is not None)
        return len(self.services) * (self.warmup + measured)

    @property
    def seconds(self) -> float:
        """How long the load takes when no service is slow, without the warm-up."""
        return self.duration * len(self.services) * len(self.steps)

    @property
    def max_seconds(self) -> float:
        """After how many seconds the run ends, whatever has been measured."""
        return self.seconds * 2 + self.timeout * len(self.services) + EXTRA_SECONDS


def choose_rate(warm_ups: Sequence[tuple[str, float]]) -> tuple[float, str]:
    """Requests a second that every service can take, and why; of each a name and the median seconds of its warm-up.

    One a second where no request of the warm-up was answered.
    """
    if not warm_ups:
        return 1.0, "no request of the warm-up was answered"
    slowest, seconds = max(warm_ups, key=lambda each: each[1])
    rate = min(AUTO_RATE, max(LEAST_RATE, float(f"{AUTO_SHARE / seconds:.3g}")))
    limit = f"half of it, at most {AUTO_RATE:g}/s"
    return rate, f"one connection reached {1 / seconds:.3g}/s with {slowest} in the warm-up; {limit}"


def choose_duration(rate: float | None) -> float:
    """Seconds in which so many requests a second are enough for p99, within `LEAST_SECONDS` and `MOST_SECONDS`.

    None, a rate that is not known, makes it the least.
    """
    needed = P99_REQUESTS / rate if rate else LEAST_SECONDS
    return float(math.ceil(min(MOST_SECONDS, max(LEAST_SECONDS, needed))))


def check_plan(plan: LatencyPlan) -> LatencyPlan:
    """Returns the plan. Raises `UserErrorException` for one that cannot be carried out."""
    if not plan.services:
        raise UserErrorException(
            "there is no service to measure",
            why="the list of services is empty",
            hint="name one or more: mldeploy service list shows them",
        )
    _check_choice("mode", plan.mode, MODES)
    _check_choice("arrivals", plan.arrivals, ARRIVALS)
    _check_choice("payload", plan.payload.kind, PAYLOAD_KINDS)
    _check_range("duration", plan.duration, 0.1, 24 * 3600.0, "seconds")
    _check_range("timeout", plan.timeout, 0.01, 3600.0, "seconds")
    _check_range("block", plan.block, 0.05, 3600.0, "seconds")
    _check_count("warmup", plan.warmup, 0, 100_000)
    _check_count("max_requests", plan.max_requests, 1, 100_000_000)
    _check_count("connections", plan.connections, 1, MAX_USERS)
    if plan.mode == "closed":
        _check_closed(plan)
    else:
        _check_open(plan)
    requests = plan.requests
    if requests is not None and requests > plan.max_requests:
        raise UserErrorException(
            f"the run would send {requests:,} requests",
            why=f"that is more than max_requests={plan.max_requests:,}",
            hint=f"lower the rate or the duration, or pass max_requests={requests}",
        )
    return plan


def _check_open(plan: LatencyPlan) -> None:
    if plan.users is not None:
        raise UserErrorException(
            "rate and users exclude each other",
            why="an open loop sends at a rate; in a closed loop users wait for answers",
            hint="pass rate= for what a service's clients see, or users= for a closed loop",
        )
    for rate in plan.steps:
        if rate is not None:
            _check_range("ramp" if plan.ramp else "rate", rate, 0.001, MAX_RATE, "requests a second")
    if plan.rate is None and plan.ramp is None and plan.warmup < AUTO_WARMUP:
        raise UserErrorException(
            "no rate can be chosen",
            why=f"it is chosen from the warm-up, which has {plan.warmup} requests",
            hint=f"pass rate=100, or warmup={AUTO_WARMUP} or more",
        )


def _check_closed(plan: LatencyPlan) -> None:
    if plan.rate is not None:
        raise UserErrorException(
            "rate and users exclude each other",
            why="in a closed loop the services' answers make the rate",
            hint="pass either rate= or users=",
        )
    for users in plan.ramp or (1 if plan.users is None else plan.users,):
        whole = int(users) if isinstance(users, float) and users.is_integer() else users
        _check_count("ramp" if plan.ramp else "users", whole, 1, MAX_USERS)


def _check_choice(argument: str, value: Any, known: tuple[str, ...]) -> None:
    if value not in known:
        raise UserErrorException(
            f"there is no {argument} {value!r}",
            why=f"known are {', '.join(known)}",
            hint=f"pass {argument}={known[0]!r}",
        )


def _check_range(argument: str, value: Any, least: float, most: float, unit: str) -> None:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not least <= value <= most:
        raise UserErrorException(
            f"{argument} must be between {least:g} and {most:,g} {unit}",
            why=f"got {value!r}",
            hint=f"pass {argument}={max(least, min(most, 10.0)):g}",
        )


def _check_count(argument: str, value: Any, least: int, most: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise UserErrorException(
            f"{argument} must be a whole number between {least:,} and {most:,}",
            why=f"got {value!r}",
            hint=f"pass {argument}={max(least, min(most, 20))}",
        )
