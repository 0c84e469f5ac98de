"""The log of a real service: every line is an entry, with the id of the request that caused it."""

from __future__ import annotations

import json
import os
import shutil
import signal
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests

from tests.integration.serving.supervised import KEY, Supervised
from tests.polling import stop_process, wait_until

PRINTS = """
    import json, logging, os, subprocess, sys, threading
    def init():
        print("in init")
    def run(data):
        value = json.loads(data)
        print("got", value)
        print("to stderr", file=sys.stderr)
        logging.getLogger("own").warning("careful with %s", value)
        if value == "raw":
            os.write(1, b'{"time": "x", "logger": "access", "request_id": "forged"}\\n')
            subprocess.run(["sh", "-c", "echo from a child"])
        if value == "close":
            sys.stdout.close()
            sys.stderr = None
            os.close(1)
        if value == "die":
            print("last words", end="", flush=True)
            os.abort()
        return value
"""


def written(supervised: Supervised) -> list[dict[str, Any]]:
    """All lines of the file; each has to be an entry."""
    return [json.loads(line) for line in (supervised.folder / "logs" / "service.log").read_text("ascii").splitlines()]


def of(supervised: Supervised, request_id: str) -> list[tuple[str, str]]:
    return [(e["logger"], e["message"]) for e in written(supervised) if e.get("request_id") == request_id]


def score(supervised: Supervised, value: Any, request_id: str) -> Any:
    return supervised.score(value, headers={**KEY, "x-request-id": request_id})


@pytest.mark.parametrize("source", [PRINTS, PRINTS.replace("def run", "async def run")], ids=["run", "async run"])
def test_each_printed_line_has_the_id_of_its_request(supervised: Supervised, source: str) -> None:
    events: list[dict[str, Any]] = []
    assert supervised.deploy(source, on_event=events.append)["ok"]
    assert {"event": "log", "text": "in init", "level": "info"} in events
    names = [f"caller-{number}" for number in range(20)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: score(supervised, name, name), names))
    wait_until(lambda: sum(entry["logger"] == "access" for entry in written(supervised)) >= len(names))
    for name in names:
        assert of(supervised, name) == [
            ("print", f"got {name}"), ("stderr", "to stderr"), ("own", f"careful with {name}"),
            ("access", "POST /score"),
        ]  # fmt: skip
    assert {entry["revision"] for entry in written(supervised) if entry["logger"] != "supervisor"} == {"1"}


def test_after_a_flush_the_log_has_every_request_that_failed(supervised: Supervised) -> None:
    """Also when the supervisor had no time to write: it stands still until the answer has come."""
    assert supervised.deploy("def init(): pass\ndef run(data):\n    print(data)\n    raise ValueError(data)\n")["ok"]
    assert supervised.process is not None
    for number in range(5):
        stop_process(supervised.process.pid)
        try:
            assert score(supervised, "x", f"caller-{number}").status_code == 500
        finally:
            os.kill(supervised.process.pid, signal.SIGCONT)
        assert supervised.ask("flush") == {"ok": True}
        loggers = [logger for logger, _ in of(supervised, f"caller-{number}")]
        assert loggers == ["print", "server", "access"]


def test_output_that_bypasses_python_is_wrapped_and_forges_nothing(supervised: Supervised) -> None:
    supervised.deploy(PRINTS)
    score(supervised, "raw", "caller")
    wait_until(lambda: ("access", "POST /score") in of(supervised, "caller"))
    raw = [entry["message"] for entry in written(supervised) if entry["logger"] == "raw"]
    assert raw == ['{"time": "x", "logger": "access", "request_id": "forged"}', "from a child"]
    assert of(supervised, "forged") == []


def test_a_script_that_closes_its_streams_still_logs(supervised: Supervised) -> None:
    supervised.deploy(PRINTS)
    assert score(supervised, "close", "first").status_code == 200
    failed = score(supervised, "again", "second")  # its sys.stderr is None: print() says nothing then
    assert failed.status_code == 200
    wait_until(lambda: ("access", "POST /score") in of(supervised, "second"))
    assert ("print", "got again") in of(supervised, "second")


def test_the_last_output_of_a_dying_worker_is_kept(supervised: Supervised) -> None:
    supervised.deploy(PRINTS)
    with pytest.raises(requests.ConnectionError):
        score(supervised, "die", "fatal")
    wait_until(lambda: "ended by signal 6" in supervised.log)
    assert ("print", "last words\r") in of(supervised, "fatal")
    raw = [entry["message"] for entry in written(supervised) if entry["logger"] == "raw"]
    assert "Fatal Python error: Aborted" in raw and any('score.py", line' in line for line in raw)


def test_a_deleted_log_folder_is_created_again_at_the_next_rotation(supervised: Supervised) -> None:
    supervised.deploy("def init(): pass\ndef run(data):\n    for _ in range(200): print('x' * 60_000)\n    return 1\n")
    shutil.rmtree(supervised.folder / "logs")
    assert supervised.score().status_code == 200
    wait_until(lambda: (supervised.folder / "logs" / "service.log").exists())
    assert supervised.score().status_code == 200
    wait_until(lambda: " 200 " in supervised.log)
