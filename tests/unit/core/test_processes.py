from __future__ import annotations

import subprocess
import sys

from mldeploy_jupyter.core import processes


def test_this_process_lives() -> None:
    assert processes.is_alive(processes.identity()) is True


def test_a_process_that_ended_is_dead_even_as_a_zombie() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    who = processes.identity(child.pid)
    assert processes.is_alive(who) is True
    assert child.stdin is not None
    child.stdin.close()
    import os

    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # ended, but not yet collected
    assert processes.is_alive(who) is False
    child.wait()
    assert processes.is_alive(who) is False


def test_a_pid_that_is_used_again_is_another_process() -> None:
    assert processes.is_alive({**processes.identity(), "started": "1"}) is False


def test_a_process_of_another_machine_is_unknown() -> None:
    assert processes.is_alive({**processes.identity(), "host": "elsewhere/1234"}) is None


def test_nonsense_is_dead() -> None:
    assert processes.is_alive({"host": processes.host()}) is False
