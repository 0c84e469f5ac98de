"""What is read from `/proc`, and from folders that look like it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mldeploy_jupyter.serving.system import procfs
from mldeploy_jupyter.serving.system.port_holder import find_port_holder
from tests.polling import wait_until

linux = pytest.mark.skipif(sys.platform != "linux", reason="there is a /proc on Linux only")


def write_stat(proc: Path, pid: int, text: str) -> None:
    (proc / str(pid)).mkdir()
    (proc / str(pid) / "stat").write_bytes(text.encode("latin-1"))


def stat_line(name: str, state: str = "S", parent: int = 1, session: int = 1) -> str:
    fields = [state, str(parent), "0", str(session), *["0"] * 7, "20", "3", *["0"] * 6, "1234", *["0"] * 25]
    return f"7 ({name}) " + " ".join([*fields, "10", "20", "30", "40", "0"])


@pytest.mark.parametrize("name", ["python", "a) S 1 (b", "with space", "\xff"])
def test_a_stat_line_is_read_whatever_the_program_is_called(tmp_path: Path, name: str) -> None:
    write_stat(tmp_path, 7, stat_line(name, parent=3, session=5))
    assert procfs.read_stat(7, tmp_path) == procfs.ProcessStat("S", 3, 5, 23, 1234, (10, 20), (30, 40))


@pytest.mark.parametrize("text", ["", "7 (python) S 1", "nonsense"])
def test_a_stat_line_that_is_cut_is_no_process(tmp_path: Path, text: str) -> None:
    write_stat(tmp_path, 7, text)
    assert procfs.read_stat(7, tmp_path) is None and procfs.start_time(7, tmp_path) == 0


def test_a_dead_process_has_no_start_time(tmp_path: Path) -> None:
    write_stat(tmp_path, 7, stat_line("x", "Z"))
    write_stat(tmp_path, 8, stat_line("x"))
    assert (procfs.start_time(7, tmp_path), procfs.start_time(8, tmp_path)) == (0, 1234)


def test_sessions_and_zombies_are_listed(tmp_path: Path) -> None:
    write_stat(tmp_path, 7, stat_line("x", parent=2, session=9))
    write_stat(tmp_path, 8, stat_line("x", "Z", parent=2, session=9))
    write_stat(tmp_path, 9, stat_line("x", "Z", parent=3))
    (tmp_path / "version").write_text("no process")
    assert sorted(procfs.list_session(9, tmp_path)) == [7, 8]
    assert procfs.list_zombies(2, tmp_path) == [8]


def test_without_proc_the_answers_are_empty(tmp_path: Path) -> None:
    none = tmp_path / "none"
    assert procfs.list_pids(none) == [] and procfs.read_stat(1, none) is None and procfs.start_time(proc=none) == 0
    assert procfs.read_environment(1, none) == [] and procfs.read_rss(1, none) is None
    assert procfs.read_sizes(1, "status", none) is None and procfs.list_thread_names(proc=none) == []
    assert procfs.list_open_files(proc=none) == set() == procfs.list_mapped_files(proc=none)
    assert find_port_holder(80, none) is None and not procfs.waits_for_lock(1, none)
    assert procfs.read_boot_id(none) == ""


def test_sizes_are_in_bytes(tmp_path: Path) -> None:
    (tmp_path / "7").mkdir()
    (tmp_path / "7" / "status").write_text("Name:\tx kB y\nVmRSS:\t   12 kB\nThreads:\t3\n")
    assert procfs.read_sizes(7, "status", tmp_path) == {"VmRSS": 12 * 1024}


@linux
def test_this_process_is_described(tmp_path: Path) -> None:
    stat = procfs.read_stat("self")
    assert stat is not None and stat.parent == os.getppid() and stat.session == os.getsid(0)
    assert procfs.start_time() == procfs.start_time(os.getpid()) > 0
    assert (procfs.read_rss(os.getpid()) or 0) > 10**6 and procfs.read_rss(999_999_999) is None
    with (tmp_path / "file").open("w") as file:
        assert os.readlink(f"/proc/self/fd/{file.fileno()}") in procfs.list_open_files()
    assert any("python" in path for path in procfs.list_mapped_files())
    assert Path("/proc/self/comm").read_text().strip() in procfs.list_thread_names()


@linux
def test_the_environment_is_the_one_a_process_started_with() -> None:
    with subprocess.Popen(["sleep", "60"], env={"NAME": "value", "PATH": os.environ["PATH"]}) as process:
        try:
            wait_until(lambda: b"NAME=value" in procfs.read_environment(process.pid))
        finally:
            process.kill()
