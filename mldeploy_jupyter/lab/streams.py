"""The streams that are open: what each page has subscribed to, and what waits to be written to it."""

from __future__ import annotations

import asyncio
import secrets
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mldeploy_jupyter.panel import Subscription
    from mldeploy_jupyter.panel.watching.watch import Send

Failure = dict[str, Any]

ALIVE_SECONDS = 15.0  # between two signs of life on a stream where nothing happens; proxies close silent ones

CHUNK_BYTES = 1_000_000  # that are written at once


class Streams:
    """The streams that are open, by their id."""

    def __init__(
        self,
        subscribe: Callable[[Any, Any, Send, Callable[[], bool]], Subscription],
        describe_error: Callable[[Exception], Failure],
        *,
        max_streams: int,
        max_subscriptions: int,
        max_bytes: int,
    ) -> None:
        self.subscribe, self.describe_error = subscribe, describe_error
        self.max_streams, self.max_subscriptions, self.max_bytes = max_streams, max_subscriptions, max_bytes
        self._lock = threading.Lock()
        self._open: dict[str, Stream] = {}
        self._subscribed = 0

    def add(self, stream: Stream) -> bool:
        """False when there are as many as may be."""
        with self._lock:
            if len(self._open) >= self.max_streams:
                return False
            self._open[stream.id] = stream
            return True

    def find(self, id: str) -> Stream | None:
        return self._open.get(id)

    def remove(self, stream: Stream) -> None:
        with self._lock:
            self._open.pop(stream.id, None)

    def take_place(self) -> bool:
        """Counts one more subscription. False when there are as many as may be."""
        with self._lock:
            if self._subscribed >= self.max_subscriptions:
                return False
            self._subscribed += 1
            return True

    def give_place(self) -> None:
        """Counts one less."""
        with self._lock:
            self._subscribed -= 1


class Stream:
    """One page's stream. Events are put from any thread and written by the server's event loop."""

    def __init__(self, streams: Streams) -> None:
        self.id = secrets.token_hex(16)  # not guessable, so only the page that opened the stream can change it
        self._streams, self._loop = streams, asyncio.get_running_loop()
        self._lock = threading.Lock()
        self._waiting: deque[bytes] = deque()
        self.waiting_bytes = 0
        self._subscribed: dict[str, Subscription] = {}
        self._visible = True
        self._changed = asyncio.Event()
        self.turn = asyncio.Lock()  # held while a change is carried out, so that they are in the order of the page
        self.is_closed = False

    def put(self, message: dict[str, Any]) -> None:
        """Queues a message. A page that reads too slowly is cut off: nothing is kept for it without a limit."""
        from mldeploy_jupyter.panel.json_text import to_json_text

        data = f"data: {to_json_text(message)}\n\n".encode()
        with self._lock:
            if self.is_closed:
                return
            self._waiting.append(data)
            self.waiting_bytes += len(data)
            wake = len(self._waiting) == 1
            self.is_closed = self.waiting_bytes > self._streams.max_bytes
        if wake or self.is_closed:
            with suppress(RuntimeError):  # the server has ended meanwhile
                self._loop.call_soon_threadsafe(self._changed.set)

    def is_full(self) -> bool:
        """Whether much waits to be written: lines of logs wait then, long before the page is cut off."""
        return self.waiting_bytes > self._streams.max_bytes / 8

    async def take(self) -> bytes:
        """What is to be written next: events, or a sign of life. Waits for it; b"" when the stream has ended."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._changed.wait(), ALIVE_SECONDS)
        self._changed.clear()
        if self.is_closed:
            return b""
        chunks, size = [], 0
        with self._lock:
            while self._waiting and size < CHUNK_BYTES:
                chunks.append(self._waiting.popleft())
                size += len(chunks[-1])
            self.waiting_bytes -= size
            if self._waiting:
                self._changed.set()
        return b"".join(chunks) or b":\n\n"

    def end(self) -> None:
        """Wakes the waiting task: there are no more events."""
        self.is_closed = True
        self._changed.set()

    # In a thread, as it may have to wait:

    def change(self, change: dict[str, Any]) -> None:
        """Adds and ends subscriptions, as a page asks for it."""
        for id in change.get("unsubscribe", ()):
            self._unsubscribe(id)
        for one in change.get("subscribe", ()):
            self._subscribe(one["id"], one["topic"], one["params"])
        if "visible" in change:
            self._visible = change["visible"]
            for subscription in list(self._subscribed.values()):
                subscription.set_visible(self._visible)

    def close(self) -> None:
        """Ends every subscription."""
        with self._lock:
            self.is_closed = True
            self._waiting.clear()
        for id in list(self._subscribed):
            self._unsubscribe(id)

    def _subscribe(self, id: str, topic: Any, params: Any) -> None:
        if id in self._subscribed or self.is_closed:
            return
        streams = self._streams
        if not streams.take_place():
            cause = f"there are {streams.max_subscriptions:,} subscriptions already: c.MldeployApp.max_subscriptions"
            refusal = {"code": "busy", "error": "nothing more can be watched", "cause": cause,
                       "hint": "close some pages"}  # fmt: skip
            self.put({"id": id, "failure": refusal})
            return
        seq = 0

        def send(event: dict[str, Any]) -> None:
            nonlocal seq
            seq += 1
            self.put({"id": id, "seq": seq, "event": event})

        try:
            subscription = streams.subscribe(topic, params, send, self.is_full)
        except Exception as error:
            streams.give_place()
            self.put({"id": id, "failure": streams.describe_error(error)})
            return
        with self._lock:
            wanted = not self.is_closed
            if wanted:
                self._subscribed[id] = subscription
        if not wanted:  # the page is gone meanwhile
            subscription()
            streams.give_place()
        elif not self._visible:
            subscription.set_visible(False)

    def _unsubscribe(self, id: str) -> None:
        with self._lock:
            subscription = self._subscribed.pop(id, None)
        if subscription is not None:
            subscription()
            self._streams.give_place()
