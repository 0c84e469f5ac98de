"""A closed loop of clients that score a service while it changes."""

from __future__ import annotations

import threading

import requests

from tests.integration.serving.supervised import KEY
from tests.polling import wait_until


class Load:
    """Threads that score without pause and note the revision of each answer.

    `sessions` of them keep their connection, `fresh` ones open another for each request.
    """

    def __init__(self, url: str, sessions: int = 4, fresh: int = 4) -> None:
        self.url = f"{url}/score"
        self.stop = threading.Event()
        self.failures: list[str] = []
        self.answers: list[list[int]] = [[] for _ in range(sessions + fresh)]
        kinds = [True] * sessions + [False] * fresh
        self.threads = [threading.Thread(target=self._run, args=(i, keep)) for i, keep in enumerate(kinds)]
        for thread in self.threads:
            thread.start()

    def _run(self, number: int, keep: bool) -> None:
        session = requests.Session()
        while not self.stop.is_set():
            try:
                response = (session if keep else requests).post(self.url, json=[number], headers=KEY, timeout=60)
                if response.status_code != 200 or response.json() != [number]:
                    self.failures.append(f"{response.status_code} {response.text}")
                self.answers[number].append(int(response.headers["x-mldeploy-revision"]))
            except (requests.RequestException, KeyError) as error:
                self.failures.append(repr(error))
        session.close()

    def await_two_more(self) -> list[int]:
        """Waits until every client has begun and ended a request since now; returns the revisions of these."""
        counts = [len(answers) for answers in self.answers]
        wait_until(lambda: all(len(a) >= n + 2 for a, n in zip(self.answers, counts, strict=True)))
        return [answers[n + 1] for answers, n in zip(self.answers, counts, strict=True)]

    def end(self) -> None:
        self.stop.set()
        for thread in self.threads:
            thread.join()
