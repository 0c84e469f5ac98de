"""The properties of `tests/fuzz`, tried with as many random cases as CI has time for.

Fault 44: `smuggling` compares where requests end, and what is in them, with a second parser (h11). `http` sends random
bytes in random pieces through a real connection, from clients that leave, stall or do not read; `score` sends every
kind of script valid, nearly valid and absurd bodies (faults 24 and 25).
"""

from __future__ import annotations

import pytest

from tests.fuzz.run import attempt

CASES = {"http": 500, "pipeline": 300, "heads": 300, "smuggling": 1000, "score": 1500}


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_the_property_holds_in_random_cases(name: str) -> None:
    assert attempt(name, CASES[name], start=20_261) >= CASES[name] * 0.9
