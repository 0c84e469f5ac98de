"""A constant load in a process of its own: every request has its time, and is sent then, slow service or not.

Half of the clients keep their connection, half open one a request. Started by `OpenLoop`, which also changes the key
that the requests carry, and knows when the last one with the old key is answered.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections import Counter
from http.client import HTTPConnection, HTTPException
from typing import Any
from urllib.parse import urlsplit

CLIENTS = 8


class OpenLoop:
    """The load as a context; `end()` gives {"statuses": {...}, "problems": [...], "slowest": seconds}."""

    def __init__(self, uri: str, rate: float, key: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__, uri, str(rate), key], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def __enter__(self) -> OpenLoop:
        assert self._read() == "begun"
        return self

    def use(self, key: str) -> None:
        """Requests carry this key from now on; returns when every one with the old key has its answer."""
        self._write(f"key {key}")
        assert self._read() == "switched"

    def answered(self) -> int:
        self._write("count")
        return int(self._read())

    def end(self) -> dict[str, Any]:
        self._write("end")
        found: dict[str, Any] = json.loads(self._read())
        self._process.wait(60)
        return found

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait(60)
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None
            stream.close()

    def _write(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def _read(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


class Load:
    def __init__(self, uri: str, rate: float, key: str) -> None:
        self.address = urlsplit(uri)
        self.rate = rate
        self.key = key
        self.begin = time.monotonic()
        self.ended = threading.Event()
        self.changed = threading.Condition()
        self.in_hand: Counter[str] = Counter()
        self.statuses: Counter[str] = Counter()
        self.problems: list[str] = []
        self.slowest = 0.0
        self.threads = [threading.Thread(target=self.client, args=(number,)) for number in range(CLIENTS)]

    def client(self, number: int) -> None:
        connection: HTTPConnection | None = None
        n = 0
        while True:
            due = self.begin + (n * CLIENTS + number) / self.rate
            n += 1
            if self.ended.wait(max(0.0, due - time.monotonic())):
                return
            if connection is None or number % 2:
                connection = HTTPConnection(self.address.hostname or "", self.address.port, timeout=60)
            with self.changed:
                key = self.key
                self.in_hand[key] += 1
            headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
            try:
                connection.request("POST", "/score", json.dumps(n), headers)
                answer = connection.getresponse()
                body = answer.read()
                word = str(answer.status)
                problem = "" if answer.status == 200 and json.loads(body) == n else f"{word}: {body[:200]!r}"
            except (OSError, HTTPException) as error:
                word, problem, connection = type(error).__name__, f"{type(error).__name__}: {error}", None
            with self.changed:
                self.in_hand[key] -= 1
                self.statuses[word] += 1
                self.slowest = max(self.slowest, time.monotonic() - due)
                self.problems += [problem] if problem else []
                self.changed.notify_all()

    def use(self, key: str) -> None:
        with self.changed:
            old, self.key = self.key, key
            self.changed.wait_for(lambda: not self.in_hand[old], 60)

    def main(self) -> None:
        for thread in self.threads:
            thread.start()
        print("begun", flush=True)
        for line in sys.stdin:
            word, _, rest = line.strip().partition(" ")
            if word == "key":
                self.use(rest)
                print("switched", flush=True)
            elif word == "count":
                print(sum(self.statuses.values()), flush=True)
            else:
                break
        self.ended.set()
        for thread in self.threads:
            thread.join()
        out = {"statuses": self.statuses, "problems": self.problems[:20], "slowest": self.slowest}
        print(json.dumps(out), flush=True)


if __name__ == "__main__":
    Load(sys.argv[1], float(sys.argv[2]), sys.argv[3]).main()
