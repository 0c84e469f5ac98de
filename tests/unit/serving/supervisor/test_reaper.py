"""Reaping of dead processes for which no thread waits."""

from __future__ import annotations

import os
import sys

import pytest

from mldeploy_jupyter.serving.supervisor import reaper
from mldeploy_jupyter.serving.system.procfs import list_zombies
from tests.polling import wait_until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="/proc tells which processes they are")


def test_only_processes_for_which_no_thread_waits_are_reaped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reaper, "DELAY", 0.01)
    orphan, own = (os.posix_spawn("/bin/true", ["true"], {}) for _ in range(2))
    wait_until(lambda: {orphan, own} <= set(list_zombies(os.getpid())))
    reaper.OrphanReaper(lambda: {own}).notify()
    wait_until(lambda: orphan not in list_zombies(os.getpid()))
    assert os.waitpid(own, 0) == (own, 0)
