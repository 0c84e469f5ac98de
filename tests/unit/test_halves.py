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

from tests.halves import MOST_AGAIN, ROOT, SECOND, WHOLE_RUN, half_arguments, reporting, run, run_again


def test_the_halves_are_all_tests_and_share_none() -> None:
    first, second = half_arguments(["--durations=5"])
    assert [argument.removeprefix("--ignore=") for argument in first if argument.startswith("--ignore=")] == [*SECOND]
    assert [argument for argument in second if not argument.startswith("-")][-len(SECOND) :] == [*SECOND]
    assert [path for path in SECOND if not (ROOT / path).exists()] == []
    assert "--durations=5" in first and "--durations=5" in second
    assert not {*first} & {*second} - {"--durations=5", "-o"}  # neither writes the other's report or cache


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


@pytest.mark.parametrize("codes", [(0, 0), (0, 3), (4, 0), (4, 3)])
def test_the_exit_codes_of_both_halves_are_known(codes: tuple[int, int]) -> None:
    assert run([["sh", "-c", f"exit {one}"] for one in codes], io.StringIO()) == codes


STEADY = "def test_steady(): pass\n"
UNSTABLE = """
from pathlib import Path
import pytest

def is_second_time(name):
    seen = Path(__file__).with_name(name).exists()
    Path(__file__).with_name(name).touch()
    return seen

@pytest.fixture
def service():
    assert is_second_time("service")

def test_call(): assert is_second_time("call")
def test_setup(service): pass
"""
BROKEN = "def test_broken(): assert False\n"
UNSTABLE_TEARDOWN = (
    UNSTABLE
    + """
@pytest.fixture
def left():
    yield
    assert is_second_time("left")

def test_teardown(left): pass
"""
)
LEAKING = f"""
import pytest

@pytest.fixture(autouse=True, scope="session")
def nothing_is_left():
    yield
    assert False, "{WHOLE_RUN} 3 files are left open"

def test_leak(): pass
"""


def run_twice(folder: Path, *halves: str) -> tuple[int, int, list[str]]:
    """The exit code of a run with these two halves, how often it said that tests run again, and the tests it named."""
    commands, caches = [], []
    plain = ["env", "PYTEST_DISABLE_PLUGIN_AUTOLOAD=1", sys.executable, "-m", "pytest", "-q", "-c", os.devnull]
    for number, source in enumerate(halves):
        half = folder / str(number)
        half.mkdir()
        (half / "test_it.py").write_text(source)
        caches.append(half / "cache")
        commands.append([*plain, "--rootdir", str(half), *reporting(caches[-1]), str(half)])
    out = io.StringIO()
    codes = run(commands, out)
    out.truncate(0)
    code = run_again(commands, caches, codes, out)
    return code, out.getvalue().count("run again, alone"), re.findall("unstable: (.*)", out.getvalue())


def test_tests_that_pass_alone_are_named_and_fail_no_run(tmp_path: Path) -> None:
    code, again, unstable = run_twice(tmp_path, UNSTABLE_TEARDOWN, STEADY)
    assert (code, again) == (0, 1)
    assert unstable == ["test_it.py::test_call", "test_it.py::test_setup", "test_it.py::test_teardown"]


@pytest.mark.parametrize("half", [0, 1])
def test_a_test_that_fails_again_fails_the_run(tmp_path: Path, half: int) -> None:
    assert run_twice(tmp_path, *(BROKEN + STEADY, UNSTABLE)[:: -1 if half else 1])[::2] == (1, [])


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("def broken(:", 2),  # no collection
        (LEAKING, 1),  # what is only seen at the end of a whole run
        (
            UNSTABLE + "".join(f"def test_{n}(): assert is_second_time('{n}')\n" for n in range(MOST_AGAIN - 1)),
            1,
        ),  # two more
        (STEADY, 0),
    ],
)
def test_nothing_runs_again_that_is_no_chance(tmp_path: Path, source: str, expected: int) -> None:
    assert run_twice(tmp_path, source, STEADY) == (expected, 0, [])


def test_what_the_second_half_prints_comes_after_the_first_one(tmp_path: Path) -> None:
    gate = tmp_path / "gate"  # the first half ends when the second one has printed
    os.mkfifo(gate)
    code = f"""
import sys
from tests.halves import run
first = ["sh", "-c", "read line <{gate}; echo first"]
second = ["sh", "-c", "echo second; echo >{gate}; echo error >&2"]
sys.exit(max(run((first, second), sys.stdout)))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.stdout.splitlines() == ["first", "second", "error"]
    assert done.returncode == 0


def test_a_signal_ends_both_halves() -> None:
    before = signal.getsignal(signal.SIGTERM)
    first = ["sh", "-c", f"kill -TERM {os.getpid()}; exec sleep 600"]
    assert run((first, ["sleep", "600"]), io.StringIO()) == (-signal.SIGTERM, -signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) == before
