"""The two halves of a whole run: together all tests, and one exit code."""

from __future__ import annotations

import io
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.halves import ROOT, SECOND, half_arguments, run


def test_the_halves_are_all_tests_and_share_none() -> None:
    first, second = half_arguments(["--durations=5"])
    assert [argument.removeprefix("--ignore=") for argument in first if argument.startswith("--ignore=")] == [*SECOND]
    assert [argument for argument in second if not argument.startswith("-")][-len(SECOND) :] == [*SECOND]
    assert [path for path in SECOND if not (ROOT / path).exists()] == []
    assert "--durations=5" in first and "--durations=5" in second


def test_all_tests_with_a_container_engine_are_in_the_same_half() -> None:
    engine = re.compile(r"\b(docker_engine|podman_engine|building_engine|base_image)(: |['\"]\))")  # fixtures
    users = [
        str(path.relative_to(ROOT))
        for folder in ("browser", "integration", "notebooks")
        for path in (ROOT / "tests" / folder).rglob("test_*.py")
        if engine.search(path.read_text())
    ]
    assert len(users) > 5
    assert [user for user in users if not user.startswith(SECOND)] == []


@pytest.mark.parametrize(("codes", "code"), [((0, 0), 0), ((0, 3), 3), ((4, 0), 4), ((4, 3), 4)])
def test_a_half_that_fails_fails_the_run(codes: tuple[int, int], code: int) -> None:
    commands = tuple(["sh", "-c", f"exit {one}"] for one in codes)
    assert run((commands[0], commands[1]), io.StringIO()) == code


def test_what_the_second_half_prints_comes_after_the_first_one(tmp_path: Path) -> None:
    gate = tmp_path / "gate"  # the first half ends when the second one has printed
    os.mkfifo(gate)
    code = f"""
import sys
from tests.halves import run
first = ["sh", "-c", "read line <{gate}; echo first"]
second = ["sh", "-c", "echo second; echo >{gate}; echo error >&2"]
sys.exit(run((first, second), sys.stdout))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.stdout.splitlines() == ["first", "second", "error"]
    assert done.returncode == 0


def test_a_signal_ends_both_halves() -> None:
    before = signal.getsignal(signal.SIGTERM)
    first = ["sh", "-c", f"kill -TERM {os.getpid()}; exec sleep 600"]
    assert run((first, ["sleep", "600"]), io.StringIO()) == -signal.SIGTERM
    assert signal.getsignal(signal.SIGTERM) == before
