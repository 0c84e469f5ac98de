"""A constant open-loop load on a service: every request has its time, and is sent then even when others are slow."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from tests.polling import wait_until

# A process of its own, so that the work of a test does not slow the load down.
_LOAD = """
import json, os, sys, threading, time
import requests

uri, key, rate, threads = sys.argv[1], sys.argv[2], float(sys.argv[3]), 8
headers = {"Authorization": "Bearer " + key}
done, failures, lock = [], [], threading.Lock()
ends = threading.Event()
begin = time.monotonic()

def client(number):
    keep = number % 2 == 0
    session = requests.Session()
    session.trust_env = False
    last, n = 0, 0
    while not ends.is_set():
        due = begin + (n * threads + number) / rate
        n += 1
        if ends.wait(max(0, due - time.monotonic())):
            return
        if not keep:
            session = requests.Session()
            session.trust_env = False
        try:
            answer = session.post(uri, json={"n": n}, headers=headers, timeout=30)
            revision = int(answer.headers["x-mldeploy-revision"].split("-")[0])
            said = answer.json()["answer"]
            good = answer.status_code == 200 and said == revision and revision >= last
            last = revision
            problem = None if good else f"{answer.status_code} revision {revision} after {last}: {answer.text[:200]}"
        except Exception as error:
            problem = f"{type(error).__name__}: {error}"
        with lock:
            done.append(time.monotonic() - due)
            if problem:
                failures.append(problem)

clients = [threading.Thread(target=client, args=(number,)) for number in range(threads)]
[thread.start() for thread in clients]
print("begun", flush=True)
for line in sys.stdin:
    print(len(done), flush=True)
seconds = time.monotonic() - begin
ends.set()
[thread.join() for thread in clients]
done.sort()
print(json.dumps({"requests": len(done), "failures": failures, "median": done[len(done) // 2], "max": done[-1],
                  "seconds": seconds}))
"""


class SteadyLoad:
    """Half of the clients keep their connections, half make one a request.

    An answer is good when it comes from a revision that is no older than the one before, and `answer` in it is the
    revision's number.
    """

    def __init__(self, uri: str, key: str, rate: float = 80) -> None:
        """Begins with the load, `rate` requests a second."""
        self.rate = rate
        command = [sys.executable, "-c", _LOAD, uri, key, str(rate)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None and self._process.stdout.readline() == "begun\n"

    def __enter__(self) -> SteadyLoad:
        return self

    def __exit__(self, *_: object) -> None:
        """Ends the load of a test that failed."""
        if self._process.returncode is None:
            self._process.kill()
            self._process.communicate()

    def wait_for(self, requests: int, seconds: float = 120.0) -> None:
        """Waits until so many more requests have been answered: a busy machine makes fewer of them in a second."""
        wanted = self._count() + requests
        wait_until(lambda: self._count() >= wanted, seconds, lambda: f"{wanted} requests, of {self._count()}")

    def _count(self) -> int:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def end(self) -> dict[str, Any]:
        """`requests`, `failures` (texts), `median`, `max` and `seconds` of the whole load."""
        return dict(json.loads(self._process.communicate(timeout=90)[0]))
