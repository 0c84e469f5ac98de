"""Load by Python's own clients, which send a head and its body in two pieces. Prints what `wrk.read` reads.

    python -m tests.benchmarks.serving.python_clients http.client|requests URL BODY_FILE HEADERS CONNECTIONS SECONDS

Each connection has a thread, and sends its next request when the answer to the one before is there.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import requests

CLIENTS = ("http.client", "requests")


def start(
    client: str, url: str, body: Path, headers: dict[str, str], connections: int, seconds: float, cpu: int
) -> subprocess.Popen[str]:
    words = [client, url, str(body), json.dumps(headers), str(connections), str(seconds)]
    command = ["taskset", "-c", str(cpu), sys.executable, "-m", __name__, *words]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def asker(client: str, url: str, body: bytes, headers: dict[str, str]) -> Callable[[], int]:
    """A function that asks once, on one connection, and returns the size of the answer. Raises when it is no 200."""
    if client == "requests":
        session = requests.Session()
        session.trust_env = False

        def ask() -> int:
            answer = session.post(url, data=body, headers=headers, timeout=20)
            answer.raise_for_status()
            return len(answer.content)

        return ask
    place = urlsplit(url)
    connection = HTTPConnection(place.hostname or "", place.port, timeout=20)

    def ask_directly() -> int:
        connection.request("POST", place.path, body, headers)
        answer = connection.getresponse()
        data = answer.read()
        if answer.status != 200:
            raise OSError(f"status {answer.status}")
        return len(data)

    return ask_directly


def load(ask: Callable[[], int], end: float, latencies: list[float], sizes: list[int]) -> None:
    while (begin := time.perf_counter()) < end:
        sizes.append(ask())
        latencies.append(time.perf_counter() - begin)


def main() -> None:
    client, url, path, headers, connections, seconds = sys.argv[1:]
    askers = [asker(client, url, Path(path).read_bytes(), json.loads(headers)) for _ in range(int(connections))]
    for ask in askers:
        ask()
    latencies: list[float] = []
    sizes: list[int] = []
    begin = time.perf_counter()
    loads = [threading.Thread(target=load, args=(ask, begin + float(seconds), latencies, sizes)) for ask in askers]
    for one in loads:
        one.start()
    for one in loads:
        one.join()
    spent = time.perf_counter() - begin
    cuts = statistics.quantiles(latencies, n=100)
    said = {
        "requests": len(latencies), "microseconds": spent * 1e6, "bytes": sum(sizes), "p50": cuts[49] * 1e6,
        "p99": cuts[98] * 1e6, "failed": [0, 0, 0, 0, 0],
    }  # fmt: skip
    print("JSON" + json.dumps(said))


if __name__ == "__main__":
    main()
