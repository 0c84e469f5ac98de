"""The state of a forked process."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from typing import Any

import pytest

from mldeploy_jupyter.serving.system import process_state

PACKAGE = "mldeploy_jupyter.serving.worker"


def run(source: str, **environment: str) -> Any:
    """What a program prints in an interpreter of its own."""
    command = [sys.executable, "-c", source]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **environment}, check=True)
    return done.stdout.split()


def test_the_environment_becomes_what_is_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    original = dict(os.environ)
    try:
        process_state.set_environment({"KEPT": "1", "PATH": original["PATH"]})
        assert dict(os.environ) == {"KEPT": "1", "PATH": original["PATH"]}
    finally:
        process_state.set_environment(original)
    assert dict(os.environ) == original


def test_a_worker_s_main_module_ends_in_dunder_main() -> None:
    """`multiprocessing` does not import such a module again in the children that it spawns."""
    spec, file, argv, *original = run(
        "import sys\n"
        "from mldeploy_jupyter.serving.system import process_state\n"
        f"import {PACKAGE}.__main__\n"
        f"process_state.become_main({PACKAGE!r}, ['--channel=3'])\n"
        "main = sys.modules['__main__']\n"
        "print(main.__spec__.name, main.__file__, sys.argv[1], *sys.orig_argv[1:])"
    )
    assert spec == f"{PACKAGE}.__main__" and file.endswith("__main__.py") and argv == "--channel=3"
    assert original == ["-P", "-m", PACKAGE, "--channel=3"]


@pytest.mark.skipif(sys.platform != "linux", reason="/proc shows it")
def test_a_renamed_text_is_seen_by_other_processes() -> None:
    answer = run(
        "import os\n"
        "from mldeploy_jupyter.serving.system.process_state import rename\n"
        "print(rename(os.environ['MARK'].encode(), b'y' * 16), rename(b'z' * 16, b'z' * 16))\n"
        "print(b'MARK=' + b'y' * 16 in open('/proc/self/environ', 'rb').read())",
        MARK="x" * 16,
    )
    assert answer == ["True", "False", "True"]


def test_a_process_whose_parent_is_dead_ends_itself() -> None:
    source = (
        "from mldeploy_jupyter.serving.system import process_state\n"
        "process_state.die_with_parent(1)\nprint('still here')"
    )
    assert run(source) == []


def test_numpy_gets_another_seed() -> None:
    numpy = pytest.importorskip("numpy")
    numpy.random.seed(1)
    process_state.reseed_random()
    first = numpy.random.rand()
    numpy.random.seed(1)
    assert first != numpy.random.rand()
    assert random.random() != random.random()
