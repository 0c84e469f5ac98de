from __future__ import annotations

import subprocess
import sys

from mldeploy_jupyter.core import process_identity


def test_this_process_lives() -> None:
    assert process_identity.is_alive(process_identity.identify_process()) is True


def test_a_process_that_ended_is_dead_even_as_a_zombie() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    who = process_identity.identify_process(child.pid)
    assert process_identity.is_alive(who) is True
    assert child.stdin is not None
    child.stdin.close()
    import os

    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # ended, but not yet collected
    assert process_identity.is_alive(who) is False
    child.wait()
    assert process_identity.is_alive(who) is False


def test_a_pid_that_is_used_again_is_another_process() -> None:
    assert process_identity.is_alive({**process_identity.identify_process(), "started": "1"}) is False


def test_a_process_of_another_machine_is_unknown() -> None:
    assert process_identity.is_alive({**process_identity.identify_process(), "host": "elsewhere/1234"}) is None


def test_nonsense_is_dead() -> None:
    assert process_identity.is_alive({"host": process_identity.host_and_boot()}) is False
