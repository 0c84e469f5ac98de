"""Checks the properties, guided by coverage: python -m tests.fuzz.coverage http --minutes 5. Needs atheris."""

from __future__ import annotations

import argparse
import sys
from typing import Any

import atheris
from hypothesis import given, settings
from hypothesis import strategies as st

with atheris.instrument_imports(include=["mldeploy_jupyter.serving"]):
    from .run import PROPERTIES, QUIET


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("property", choices=PROPERTIES)
    parser.add_argument("--minutes", type=float, default=5.0)
    asked = parser.parse_args()
    prop, strategies = PROPERTIES[asked.property]

    @settings(**QUIET)  # type: ignore[arg-type]
    @given(st.tuples(*strategies))
    def one(arguments: tuple[Any, ...]) -> None:
        prop(*arguments)

    options = [sys.argv[0], f"-max_total_time={int(asked.minutes * 60)}", "-max_len=8192", "-print_final_stats=1"]
    atheris.Setup(options, one.hypothesis.fuzz_one_input)  # type: ignore[attr-defined]
    atheris.Fuzz()


if __name__ == "__main__":
    main()
