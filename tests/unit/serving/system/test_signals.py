"""Signals as calls in a thread."""

from __future__ import annotations

import subprocess
import sys


def test_a_signal_calls_its_task_in_another_thread_while_the_main_thread_sleeps() -> None:
    source = (
        "import os, signal, threading\n"
        "from mldeploy_jupyter.serving.system.signals import handle_signals\n"
        "came = threading.Event()\n"
        "def task():\n"
        "    print(threading.current_thread().name)\n"
        "    came.set()\n"
        "handle_signals({signal.SIGUSR1: task})\n"
        "os.kill(os.getpid(), signal.SIGUSR1)\n"
        "assert came.wait(10)"
    )
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "signals\n"
