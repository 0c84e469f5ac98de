"""What the kernel knows about memory: cgroups, kills, and the private memory of a process."""

from __future__ import annotations

import mmap
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mldeploy_jupyter.serving.system.memory import (
    count_oom_kills,
    explain_oom_kill,
    facts_after_death,
    find_cgroup,
    private_memory_above,
    propose_limit,
    read_limits,
)

MB = 10**6
linux = pytest.mark.skipif(sys.platform != "linux", reason="/proc says it")


def cgroup(root: Path, **files: str) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (root / name.replace("__", ".")).write_text(text)
    return root


@pytest.mark.parametrize(
    ("line", "folder", "files", "limit"),
    [
        ("0::/app\n", "app", {"memory__events": "low 0\noom 1\noom_kill 2\n", "memory__max": "1000\n"}, 1000),
        ("0::/app\n", "app", {"memory__events": "oom_kill 2\n", "memory__max": "max\n"}, None),
        (
            "4:cpu,memory:/app\n",
            "memory/app",
            {"memory__oom_control": "oom_kill 2\n", "memory__limit_in_bytes": "1000\n"},
            1000,
        ),
        (
            "4:memory:/host/path\n",
            "memory",
            {"memory__oom_control": "oom_kill 2\n", "memory__limit_in_bytes": f"{2**63}"},
            None,
        ),
    ],
)
def test_memory_cgroups_of_both_versions_are_read(
    tmp_path: Path, line: str, folder: str, files: Any, limit: int | None
) -> None:
    (tmp_path / "proc" / "7").mkdir(parents=True)
    (tmp_path / "proc" / "7" / "cgroup").write_text(line)
    group = cgroup(tmp_path / "cgroup" / folder, **files)
    found = find_cgroup(7, tmp_path / "proc", tmp_path / "cgroup")
    assert found == group
    assert count_oom_kills(found) == 2
    assert read_limits(found)["limit"] == limit


def test_a_memory_kill_is_said_only_when_it_is_certain(tmp_path: Path) -> None:
    group = cgroup(tmp_path, memory__events="oom_kill 3\n")
    assert facts_after_death(group, 2, 9)["oom_kill"] is True
    assert facts_after_death(group, 3, 9)["oom_kill"] is False
    assert facts_after_death(group, 2, 11)["oom_kill"] is False
    assert facts_after_death(group, None, 9)["oom_kill"] is None
    assert facts_after_death(None, None, 9) == {"oom_kill": None, "limit": None, "peak": None}
    assert find_cgroup(999_999_999) is None


HOLDER = """
import os, sys
held = bytearray(os.urandom(1)) * 200_000_000
pid = os.fork() if sys.argv[1] == "fork" else None
if pid == 0:
    own = bytearray(b"x") * 30_000_000
    print(os.getpid(), flush=True)
    sys.stdin.read()
    os._exit(0)
if pid is None:
    print(os.getpid(), flush=True)
sys.stdin.read()
"""


@linux
@pytest.mark.parametrize(("how", "low", "high"), [("alone", 200, 260), ("fork", 30, 90)])
def test_pages_that_are_shared_with_a_parent_are_not_counted(how: str, low: int, high: int) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, how], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None and process.stdin is not None
        pid = int(process.stdout.readline())
        used = private_memory_above(pid, low * MB)
        assert used is not None and low * MB < used < high * MB
        assert private_memory_above(pid, high * MB) is None
        process.stdin.close()
        process.wait(10)
    assert private_memory_above(pid, 0) is None  # it is gone


@linux
def test_memory_that_is_mapped_from_a_file_is_not_counted(tmp_path: Path) -> None:
    path = tmp_path / "model"
    path.write_bytes(b"x" * 50 * MB)
    before = private_memory_above(os.getpid(), 0)
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as model:
        assert sum(model[i] for i in range(0, len(model), 4096)) > 0
        after = private_memory_above(os.getpid(), 0)
    assert before is not None and after is not None and after - before < 20 * MB


def test_a_proposed_limit_is_half_as_much_again_in_tenths_of_a_gigabyte() -> None:
    assert [propose_limit(used * MB) // MB for used in (1, 66, 67, 400, 612, 2000)] == [100, 100, 200, 600, 1000, 3000]


def test_a_kill_for_memory_says_the_figures() -> None:
    assert explain_oom_kill({"oom_kill": False, "peak": 5, "limit": 5}) == explain_oom_kill({}) == ""
    assert explain_oom_kill({"oom_kill": True, "peak": None, "limit": None}).endswith("was used up")
    text = explain_oom_kill({"oom_kill": True, "peak": 199 * MB, "limit": 200 * MB})
    assert "199 MB of 200 MB" in text and "0.3 GB" in text
