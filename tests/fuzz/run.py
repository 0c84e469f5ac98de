"""Checks the properties with random cases for a given time: python -m tests.fuzz.run --minutes 5."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, Verbosity, given, seed, settings
from hypothesis import strategies as st

from . import messages, properties

QUIET = {"deadline": None, "database": None, "suppress_health_check": list(HealthCheck), "verbosity": Verbosity.quiet}
PROPERTIES: dict[str, tuple[Callable[..., None], tuple[st.SearchStrategy[Any], ...]]] = {
    "http": (properties.any_bytes_any_way, (properties.STEPS,)),
    "pipeline": (
        properties.valid_requests_are_answered,
        (st.lists(messages.valid(), min_size=1, max_size=8), properties.CUTS, st.booleans(), st.booleans()),
    ),
    "heads": (
        properties.cached_heads_change_nothing,
        (
            st.lists(st.one_of(messages.odd(), messages.valid().map(lambda pair: pair[0])), min_size=1, max_size=3),
            st.lists(st.integers(0, 2), min_size=1, max_size=8),
            properties.CUTS,
        ),
    ),
    "smuggling": (properties.agrees_with_h11, (messages.stream(), properties.CUTS)),
    "score": (lambda request: properties.only_declared_answers(*request), (properties.requests(),)),
}


def attempt(name: str, cases: int, start: int) -> int:
    """Checks a property with `cases` random cases. Returns how many ran; raises the failure that it finds."""
    prop, strategies = PROPERTIES[name]
    tried = 0

    @seed(start)
    @settings(max_examples=cases, **QUIET)  # type: ignore[arg-type]
    @given(st.tuples(*strategies))
    def one(arguments: tuple[Any, ...]) -> None:
        nonlocal tried
        tried += 1
        prop(*arguments)

    one()
    return tried


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--only", choices=PROPERTIES, action="append")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    given_ = parser.parse_args()
    names = given_.only or list(PROPERTIES)
    tried = dict.fromkeys(names, 0)
    end, number = time.monotonic() + 60 * given_.minutes, given_.seed
    while time.monotonic() < end:
        for name in names:
            tried[name] += attempt(name, 1000, number)
        number += 1
    print(
        ", ".join(f"{name}: {count} cases" for name, count in tried.items()), f"(seeds {given_.seed} to {number - 1})"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
