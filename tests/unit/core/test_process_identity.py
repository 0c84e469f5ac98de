from __future__ import annotations

import signal
import subprocess
import sys

from mldeploy_jupyter.core import process_identity
from tests.polling import wait_until


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


def test_a_process_that_a_signal_has_stopped_is_known() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    who = process_identity.identify_process(child.pid)
    assert not process_identity.is_stopped(who)
    child.send_signal(signal.SIGSTOP)
    wait_until(lambda: process_identity.is_stopped(who))
    assert not process_identity.is_stopped({**who, "started": "1"})
    assert not process_identity.is_stopped({**who, "host": "elsewhere/1234"})
    child.kill()
    child.wait()
    assert child.stdin is not None
    child.stdin.close()
    assert not process_identity.is_stopped(who)
