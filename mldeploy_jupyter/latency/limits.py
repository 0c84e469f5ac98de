"""The limits and choices of a run, for callers that must not import the rest of the package."""

from __future__ import annotations

ARRIVALS = ("constant", "poisson")

MAX_RATE = 20_000.0  # requests a second; one generator process sends fewer

MAX_USERS = 10_000  # each has a connection of its own
