"""One service of a run: what the load knows of it from its answers, and what it tells about that."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mldeploy_jupyter.latency.generator.connection import Answer, Request
from mldeploy_jupyter.latency.generator.pool import Pool
from mldeploy_jupyter.latency.recording import Outcome, Phase

DEAD_SECONDS = 5.0  # without one answer, while every connection is refused or breaks

DEAD_REQUESTS = 3  # of them, at least

AWAY_SECONDS = 0.5  # in which every request fails, after which it is worth a note that one was answered

KEY_SECONDS = 1.0  # between two questions for the key of a service that answers 401


class MeasuredService:
    """`note` tells the parent: a kind and a text. Times are those of the monotonic clock."""

    def __init__(self, pool: Pool, name: str, cold: bool, note: Callable[[str, str], None]) -> None:
        self.pool, self.name, self.cold = pool, name, cold
        self._note = note
        self._told: set[str] = set()  # the kinds of notes that are written once
        self.dead = False
        self.finished = False  # its ramp went as far as it can
        self.answered = 0  # requests of this turn with outcome OK
        self.started = 0  # requests of this turn
        self.refusals = 0
        self.warm_seconds: list[float] = []  # service times of the warm-up
        self._refused_since: float | None = None
        self._failing_since: float | None = None
        self._rejected = 0  # answers 401 since the last new key
        self._key_asked = -KEY_SECONDS
        self._revision = 0

    def note_once(self, kind: str, text: str) -> None:
        if kind not in self._told:
            self._told.add(kind)
            self._note(kind, text)

    def take_answer(self, request: Request, answer: Answer, done: float) -> None:
        """Learns from how a request has ended."""
        if answer.outcome is not Outcome.OK:
            self._take_failure(request, answer, done)
            return
        self.answered += 1
        failed = 0.0 if self._failing_since is None else request.begun - self._failing_since
        if failed >= AWAY_SECONDS:
            self._note("back", f"answers again: for {failed:.1f} s every request failed")
        self._refused_since, self._failing_since, self.refusals = None, None, 0
        if request.phase == Phase.WARM_UP:
            self.warm_seconds.append(done - request.sent)
        if answer.revision != self._revision:
            if self._revision and answer.revision > self._revision:
                self._note("revision", f"revision {answer.revision} answers, {self._revision} did before")
            self._revision = max(self._revision, answer.revision)

    def _take_failure(self, request: Request, answer: Answer, done: float) -> None:
        self._failing_since = request.begun if self._failing_since is None else self._failing_since
        if answer.outcome is Outcome.NO_CONNECTION:
            self._refused_since = request.begun if self._refused_since is None else self._refused_since
            self.refusals += 1
            refused = done - self._refused_since
            if refused >= DEAD_SECONDS and self.refusals >= DEAD_REQUESTS and not self.dead:
                self.dead = True
                self._note("died", f"refused every connection for {refused:.1f} s, so it was sent no more")
            return
        if answer.status:
            self._refused_since, self.refusals = None, 0
        if answer.status == 401:
            self._rejected += 1
            if request.key == self.pool.key and done - self._key_asked >= KEY_SECONDS:
                self._key_asked = done
                self.pool.renew_key()
        elif answer.outcome is Outcome.THROTTLED:
            self.note_once("throttled", f"answers {answer.status}: it has more requests than it takes")
        elif answer.outcome is Outcome.UNAVAILABLE:
            self.note_once(
                "unavailable", f"answers {answer.status}: nothing serves, or it has more requests than it takes"
            )

    def take_key(self, message: dict[str, Any]) -> None:
        """The parent's answer to a question for a key."""
        if "refused" in message:
            self.note_once("refused", f"was sent nothing: {message['refused']}")
            self.pool.refuse()
            return
        first = self.pool.key == 0
        uri_before = self.pool.uri
        if self.pool.use_key(message["key"], message["uri"]) and not first:
            if message["uri"] != uri_before:
                self._note("moved", f"is at {message['uri']} now")
            if self._rejected:
                self._note("key", f"has a new key: {self._rejected} requests were answered 401 before it was here")
            self._rejected = 0
        elif self._rejected:
            self.note_once("unauthorised", "answers 401 with the key that its workspace has")
