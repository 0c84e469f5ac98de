"""Processes that hang without a request, or that a signal stopped: found within 10 s, replaced or reported."""

from __future__ import annotations

import os
import re
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from mldeploy_jupyter.serving.supervisor import watchdog
from tests.integration.serving.supervised import ECHO, Supervised
from tests.polling import stop_process, wait_until

LIMIT = 60.0  # seconds: a hang is found within 10, but a busy machine is late
PAUSE = 1.5 * watchdog.LOCK_PATIENCE  # seconds; the longest silence that the watchdog waits for, and half as much

# What hangs is told by a file, so that no request is in hand when it does.
SCRIPT = """
    import ctypes, os, pathlib, signal, sys, threading, time

    lock = threading.Lock()

    def hold_the_lock():
        ctypes.PyDLL(None).usleep(60_000_000)

    def block_the_loop():
        ident = next(thread.ident for thread in threading.enumerate() if thread.name == "loop")
        frame = sys._current_frames()[ident]
        while "_run_loop" not in frame.f_code.co_name: frame = frame.f_back
        frame.f_locals["self"]._loop.call_soon_threadsafe(time.sleep, 60)

    def lock_the_script():
        lock.acquire()
        os.kill(os.getpid(), signal.SIGUSR1)

    def init():
        signal.signal(signal.SIGUSR1, lambda *_: lock.acquire())
        def wait():
            while not pathlib.Path("HOW").exists(): time.sleep(0.05)
            how = pathlib.Path("HOW").read_text()
            pathlib.Path("HOW").unlink()
            globals()[how]()
        threading.Thread(target=wait, daemon=True).start()

    def run(data): return "ok"
"""
ASYNC = """
    import asyncio, json, time
    def init(): pass
    async def run(data):
        if json.loads(data) == "later": asyncio.get_running_loop().call_later(0.1, time.sleep, 60)
        return "ok"
"""


def hang(service: Supervised, how: str) -> None:
    path = service.root / f"app{service.revision}" / "HOW"
    path.with_suffix(".next").write_text(how)
    path.with_suffix(".next").rename(path)


def await_another(service: Supervised, before: list[int], seconds: float = LIMIT) -> None:
    """Waits until another worker serves and answers."""

    def replaced() -> bool:
        return bool((now := service.pids()) and not set(now) & set(before))

    wait_until(replaced, seconds, lambda: f"another worker: {service.log}")
    assert wait_until(lambda: (r := service.score("x")).ok and r)


@pytest.mark.parametrize("how", ["hold_the_lock", "block_the_loop", "lock_the_script"])
def test_a_worker_that_hangs_without_a_request_is_replaced(supervised: Supervised, how: str) -> None:
    assert supervised.deploy(SCRIPT, drain_timeout=1)["ok"]
    before = supervised.pids()
    hang(supervised, how)
    await_another(supervised, before)
    assert "it hung" in supervised.log or "the script's thread takes no request" in supervised.log


def test_an_async_script_whose_loop_is_blocked_by_a_task_is_replaced(supervised: Supervised) -> None:
    assert supervised.deploy(ASYNC, drain_timeout=1)["ok"]
    before = supervised.pids()
    assert supervised.score("later").ok
    await_another(supervised, before)


@pytest.mark.parametrize("in_hand", [False, True])
def test_a_worker_stopped_by_a_signal_is_replaced(supervised: Supervised, in_hand: bool) -> None:
    source = ECHO.replace("return", "__import__('time').sleep(60 * (data == '\"wait\"')); return") if in_hand else ECHO
    assert supervised.deploy(source)["ok"]
    before = supervised.pids()
    with ThreadPoolExecutor(1) as pool:
        if in_hand:
            waiting = pool.submit(supervised.score, "wait", timeout=60)
            wait_until(lambda: re.search(r"requests_in_flight\S* 1\n", supervised.metrics()) or waiting.done())
        stop_process(before[0])
        status = supervised.ask("status", ask_workers=True)
        assert status["state"] == "Unhealthy" and "signal" in status["failure"]["why"]
        await_another(supervised, before)
    assert supervised.ask("status", ask_workers=True)["state"] == "Live"
    assert supervised.ask("status")["last_exit"]["code"] == "worker-hung"


def test_of_two_workers_the_other_answers_and_the_service_is_live(supervised: Supervised) -> None:
    assert supervised.deploy(workers=2)["ok"]
    stopped, other = supervised.pids()
    stop_process(stopped)
    assert supervised.ask("status", ask_workers=True)["state"] == "Live"
    wait_until(lambda: len(now := supervised.pids()) == 2 and stopped not in now, LIMIT, "another worker")
    assert other in supervised.pids()


def test_a_stopped_zygote_is_replaced_and_delays_no_deployment(supervised: Supervised) -> None:
    assert supervised.deploy()["ok"]
    forking = wait_until(lambda: (f := supervised.ask("status")["forking"])["spare"] and f)
    stop_process(forking["pid"])
    wait_until(lambda: supervised.ask("status")["forking"]["pid"] not in (forking["pid"], None), what="another")
    forking = wait_until(lambda: (f := supervised.ask("status")["forking"])["spare"] and f)
    stop_process(forking["spare"])
    stop_process(forking["pid"])
    began = time.monotonic()
    assert supervised.deploy()["ok"]
    assert time.monotonic() - began < LIMIT


def test_a_worker_that_a_signal_stops_in_init_fails_the_deployment_at_once(supervised: Supervised) -> None:
    source = "import os, signal\ndef init(): os.kill(os.getpid(), signal.SIGSTOP)\ndef run(data): return 1\n"
    began = time.monotonic()
    answer = supervised.deploy(source)
    assert time.monotonic() - began < LIMIT
    assert answer["failure"]["code"] == "worker-hung" and answer["failure"]["stage"] == "init"


def test_a_long_init_and_a_long_call_are_no_hang(supervised: Supervised) -> None:
    source = """
        import ctypes, json
        def init(): ctypes.PyDLL(None).usleep(8_500_000)  # keeps the global lock
        def run(data):
            ctypes.PyDLL(None).usleep(8_500_000)  # a hang is 10 s: a busy machine has 1.5 s
            return 1
    """
    assert supervised.deploy(source)["ok"]
    before = supervised.pids()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(supervised.score, timeout=60)
        wait_until(lambda: supervised.ask("status", ask_workers=True)["state"] == "Live" and waiting.running())
        assert waiting.result().json() == 1
    assert supervised.pids() == before


def test_workers_outlive_a_pause_of_the_supervisor(supervised: Supervised) -> None:
    """What stood still may have been this machine: nobody is ended for a silence that the supervisor shared."""
    assert supervised.deploy(workers=2)["ok"]
    before = supervised.pids()
    processes = [supervised.process.pid, *before]
    for pid in processes:
        stop_process(pid)
    began = time.monotonic()
    wait_until(lambda: time.monotonic() - began > PAUSE)
    for pid in processes:
        os.kill(pid, signal.SIGCONT)
    assert supervised.score("x").ok and supervised.pids() == before
