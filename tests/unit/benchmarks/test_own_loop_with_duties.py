"""A peer that did less than it says would make ours look slow."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest

from tests.benchmarks.serving.servers import KEY, PEERS
from tests.benchmarks.serving.turn import free_port
from tests.polling import wait_until


class Model:
    """Adds a row up; spins over a row that begins with a negative number, forever."""

    def predict(self, rows: np.ndarray) -> np.ndarray:
        while rows[0][0] < 0:
            time.monotonic()
        return rows.sum(axis=1)


class Peer:
    def __init__(self, folder: Path, batch: bool) -> None:
        joblib.dump(Model(), folder / "ridge.pkl")
        self.log, self.port = folder / "access.log", free_port()
        program = [str(PEERS / "own_loop_with_duties.py"), str(self.port), str(self.log), KEY, *["--batch"] * batch]
        variables = {"BENCH_MODEL": str(folder), "BENCH_DEADLINE": "0.2", "PYTHONPATH": str(PEERS.parents[3])}
        self.process = subprocess.Popen([sys.executable, *program], env={**os.environ, **variables})

    def ask(self, path: str, body: bytes, **headers: str) -> tuple[int, dict[str, str], bytes]:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            given = {
                "Authorization": f"Bearer {KEY}",
                **{name.replace("_", "-"): text for name, text in headers.items()},
            }
            connection.request("POST", path, body, given)
            answer = connection.getresponse()
            return answer.status, {name.lower(): text for name, text in answer.getheaders()}, answer.read()
        finally:
            connection.close()

    def answers(self) -> bool:
        try:
            return self.ask("/raw", b"four")[0] == 200
        except OSError:
            assert self.process.poll() is None
            return False

    def lines(self, count: int) -> list[dict[str, Any]]:
        """The lines of the access log, once there are so many."""
        wait_until(lambda: self.log.read_bytes().count(b"\n") >= count)
        return [json.loads(line) for line in self.log.read_text().splitlines()]


@pytest.fixture(scope="module", params=[False, True], ids=["one by one", "batch"])
def peer(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peer]:
    started = Peer(tmp_path_factory.mktemp("peer"), request.param)
    wait_until(started.answers, 60)
    yield started
    started.process.kill()
    started.process.wait()


def test_the_peer_does_its_duties(peer: Peer) -> None:
    rows = b'{"data": [[1, 2], [3, 4]]}'
    hanging = b'{"data": [[-1, 2]]}'
    status, headers, body = peer.ask("/score", rows, x_request_id='mine "1"')
    assert (status, json.loads(body)) == (200, [3, 7])
    assert headers["x-request-id"] == headers["x-ms-request-id"] == 'mine "1"'
    assert {"date", "x-mldeploy-revision", "x-ms-run-function-failed", "x-ms-run-fn-exec-ms"} <= headers.keys()
    parts = dict(part.split(";dur=") for part in headers["server-timing"].split(", "))
    assert list(parts) == ["queue", "parse", "run", "serialise"]
    made = [peer.ask("/score", rows)[1]["x-request-id"] for _ in range(2)]
    assert len(set(made)) == 2
    assert peer.ask("/score", rows, Authorization="Bearer other")[0] == 401
    assert peer.ask("/score", b"no JSON")[0] == 500
    assert peer.ask("/score", hanging)[0] == 504
    assert peer.ask("/score", rows)[0] == 200  # the call after it is not ended

    *_, asked, first, second, other, bad, hung, last = peer.lines(8)
    assert [line["status"] for line in (asked, other, bad, hung, last)] == [200, 401, 500, 504, 200]
    assert (asked["request_id"], [first["request_id"], second["request_id"]]) == ('mine "1"', made)
    assert (asked["bytes_in"], asked["bytes_out"], asked["batch"]) == (len(rows), len(body), 1)
    assert 0 < asked["run_ms"] < asked["ms"] and hung["ms"] > 200
    ours = '{"time":"","level":"","revision":"","pid":0,"logger":"","request_id":"","method":"","path":"","message":""'
    assert list(asked)[:9] == list(json.loads(ours + "}"))

    counted = dict(line.rsplit(" ", 1) for line in peer.ask("/metrics", b"")[2].decode().splitlines())
    assert counted['requests_total{status="504"}'] == "1"
    assert int(counted["request_seconds_count"]) == len(peer.lines(8))
