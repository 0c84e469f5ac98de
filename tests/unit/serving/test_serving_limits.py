"""What a worker uses by itself, what is proposed, and when each worker is replaced."""

from __future__ import annotations

import mmap
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mldeploy_jupyter.serving.settings import Settings
from mldeploy_jupyter.serving.supervisor.limits import memory_failure, requests_until_replaced
from mldeploy_jupyter.serving.system.memory import explain_oom_kill, private_memory_above, propose_limit

MB = 10**6
linux = pytest.mark.skipif(sys.platform != "linux", reason="/proc says it")

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


def test_half_as_much_again_is_proposed_in_tenths_of_a_gigabyte() -> None:
    assert [propose_limit(used * MB) // MB for used in (1, 66, 67, 400, 612, 2000)] == [100, 100, 200, 600, 1000, 3000]
    data = memory_failure(612 * MB, 512 * MB, "run")
    assert (data["code"], data["used"], data["limit"], data["proposed"]) == (
        *("memory-limit", 612 * MB, 512 * MB),
        1000 * MB,
    )
    assert "612 MB" in data["message"] and "512 MB" in data["message"] and "memory_gb_limit=1 " in data["message"]


def test_a_kill_for_memory_says_the_figures() -> None:
    assert explain_oom_kill({"oom_kill": False, "peak": 5, "limit": 5}) == explain_oom_kill({}) == ""
    assert explain_oom_kill({"oom_kill": True, "peak": None, "limit": None}).endswith("was used up")
    text = explain_oom_kill({"oom_kill": True, "peak": 199 * MB, "limit": 200 * MB})
    assert "199 MB of 200 MB" in text and "0.3 GB" in text


def test_workers_do_not_grow_old_together() -> None:
    settings = Settings(max_requests=1000)
    ages = [requests_until_replaced(settings, os.urandom(8).hex()) for _ in range(200)]
    assert min(ages) > 900 - 1 and max(ages) <= 1000 and len(set(ages)) > 50
    assert requests_until_replaced(Settings(max_requests=1), "ff" * 8) == 1
    assert requests_until_replaced(Settings(), "ff" * 8) == 0
