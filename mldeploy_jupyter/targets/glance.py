"""The state of a service, as far as it is known without a request to the service."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Glance:
    """`state` is Live, Unhealthy, Stopped or Absent; `pid` that of the supervisor, 0 without one on this machine.

    Live means that the supervisor or container runs: whether its workers answer is not known.
    """

    state: str
    pid: int = 0
