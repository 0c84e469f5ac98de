"""One end of a panel's comm: answers the requests of a page and sends it what it has subscribed to.

`labextension/src/comm_port.ts` is the other end and names the messages. Nothing here waits on the thread that delivers
a message: each request runs in a thread of its own, so that a slow one delays no other, and messages leave from one
thread, which keeps below the Jupyter server's limit.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mldeploy_jupyter.core.errors import MldeployError
from mldeploy_jupyter.panel import PanelContext, Subscription, Subscriptions, describe_error, handle
from mldeploy_jupyter.panel.failures import bad_request
from mldeploy_jupyter.panel.json_text import to_json_text

Message = dict[str, Any]

MESSAGES_PER_SECOND = 300  # a Jupyter server drops what exceeds 1,000 a second, of the whole kernel
BURST = 100  # messages that may leave at once
FULL_CHARACTERS = 1_500_000  # that wait to be sent; lines of logs wait until there are fewer
WINDOW_CHARACTERS = 4_000_000  # of one subscription that a page has not received; its lines wait until there are fewer
RECEIVE_SECONDS = 2.0  # without word from a page before more is sent: its messages wait while some kernels run a cell
STATIC = Path(__file__).with_name("static")
PARTS = ("api", "latency")  # of the panel, with modules of their own in that folder
REQUEST_THREADS = 64  # at a time; more than a person can click


class Outbox:
    """Sends messages in order from a thread of its own, at most `MESSAGES_PER_SECOND` on average.

    The thread ends when nothing was sent for `IDLE_SECONDS`.
    """

    IDLE_SECONDS = 5.0

    def __init__(
        self,
        send: Callable[[Message], Any],
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Any] = time.sleep,
    ) -> None:
        self._send, self._clock, self._sleep = send, clock, sleep
        self._waiting: deque[Message] = deque()
        self._characters = 0  # of what waits
        self._changed = threading.Condition()
        self._running = False
        self._allowance, self._filled_at = float(BURST), clock()

    def is_full(self) -> bool:
        """Whether much waits to be sent. Nothing is refused, but what can wait should."""
        return self._characters >= FULL_CHARACTERS

    def put(self, message: Message) -> None:
        """Queues a message. Safe to call from any thread."""
        with self._changed:
            self._waiting.append(message)
            self._characters += len(message["body"])
            if not self._running:
                self._running = True
                threading.Thread(target=self._run, name="mldeploy-panel-send", daemon=True).start()
            self._changed.notify()

    def send_next(self) -> bool:
        """Sends the oldest message, once the limit allows it. False when there is none."""
        with self._changed:
            if not self._waiting:
                return False
            message = self._waiting.popleft()
            self._characters -= len(message["body"])
        now = self._clock()
        self._allowance = min(BURST, self._allowance + (now - self._filled_at) * MESSAGES_PER_SECOND)
        self._filled_at = now
        self._allowance -= 1
        if self._allowance < 0:
            self._sleep(-self._allowance / MESSAGES_PER_SECOND)
        self._send(message)
        return True

    def _run(self) -> None:
        while True:
            while self.send_next():
                pass
            with self._changed:
                if not self._waiting and not self._changed.wait(self.IDLE_SECONDS) and not self._waiting:
                    self._running = False
                    return


class Window:
    """How much of one subscription is on its way: sent, and not known to be received.

    What the Jupyter server has not read yet is in the kernel's memory. A page tells after about a million characters
    (`labextension/src/comm_port.ts`) what it has received.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._lock = clock, threading.Lock()
        self._sent: deque[tuple[int, int]] = deque()  # number and size of each event on its way
        self._characters = 0
        self._moved_at = clock()  # when it became full, or the page received something

    def send(self, seq: int, characters: int) -> None:
        """Counts an event as sent."""
        with self._lock:
            if self._characters < WINDOW_CHARACTERS:
                self._moved_at = self._clock()
            self._sent.append((seq, characters))
            self._characters += characters

    def receive(self, seq: int) -> None:
        """Counts all events up to this one as received."""
        with self._lock:
            self._moved_at = self._clock()
            while self._sent and self._sent[0][0] <= seq:
                self._characters -= self._sent.popleft()[1]

    def is_full(self) -> bool:
        """Whether lines should wait. False again once the page has been silent for `RECEIVE_SECONDS`."""
        with self._lock:
            if self._characters >= WINDOW_CHARACTERS and self._clock() - self._moved_at >= RECEIVE_SECONDS:
                self._sent.clear()
                self._characters = 0
            return self._characters >= WINDOW_CHARACTERS


class PanelConnection:
    """What a kernel does with the messages of one widget. `send` sends a message to every page that shows it.

    `on_hello` is told the kind of each page that loads the widget, `notebook` or `other`, `on_theme` whether a page is
    dark. `on_begun` is told the display id of a form that was sent, and what it began, in the thread of that request:
    the page that sent it may be gone. Every page is told, too, also one that comes later.
    """

    def __init__(
        self,
        context: PanelContext,
        subscriptions: Subscriptions,
        send: Callable[[Message], Any],
        *,
        on_hello: Callable[[str], Any] = lambda page: None,
        on_theme: Callable[[bool], Any] = lambda dark: None,
        on_begun: Callable[[str, Message], Any] = lambda display_id, begun: None,
        answer: Callable[[str, Any, PanelContext], dict[str, Any]] = handle,
    ) -> None:
        self._context, self._subscriptions, self._answer = context, subscriptions, answer
        self._outbox = Outbox(send)
        self._on_hello, self._on_theme, self._on_begun = on_hello, on_theme, on_begun
        self._lock = threading.Lock()
        self._subscribed: dict[str, Subscription | None] = {}  # None while it begins
        self._windows: dict[str, Window] = {}  # of subscriptions whose page tells what it has received
        self._hidden: set[str] = set()
        self._begun: dict[str, Message] = {}  # by the display id of the form
        self._places = threading.Semaphore(REQUEST_THREADS)

    def receive(self, message: Any) -> None:
        """Takes a message of a page and returns at once. Whatever it is, it raises nothing."""
        if not isinstance(message, dict) or not isinstance(message.get("id"), str):
            return
        kind, id = message.get("kind"), message["id"]
        if kind == "hello":
            self._on_hello(str(message.get("page")))
            self._put("welcome", id, None)
            for output, begun in list(self._begun.items()):
                self._put("begun", output, begun)
        elif kind == "theme":
            self._on_theme(message.get("dark") is True)
        elif kind == "request":
            output = str(message.get("output") or "")
            self._in_thread(lambda: self._handle(id, str(message.get("name")), message.get("params"), output))
        elif kind == "part":
            self._in_thread(lambda: self._send_part(id, str(message.get("name"))))
        elif kind == "subscribe":
            with self._lock:
                self._subscribed[id] = None
                if message.get("receives") is True:
                    self._windows[id] = Window()
            self._in_thread(lambda: self._subscribe(id, str(message.get("topic")), message.get("params")))
        elif kind == "unsubscribe":
            self._unsubscribe(id)
        elif kind == "received":
            window, seq = self._windows.get(id), message.get("seq")
            if window is not None and isinstance(seq, int):
                window.receive(seq)
        elif kind == "visible":
            self._set_visible(id, bool(message.get("visible")))

    def close(self) -> None:
        """Ends every subscription."""
        with self._lock:
            ending = [subscription for subscription in self._subscribed.values() if subscription is not None]
            self._subscribed.clear()
            self._windows.clear()
        for subscription in ending:
            subscription()

    def _handle(self, id: str, name: str, params: Any, output: str) -> None:
        with self._places:
            answer = self._answer(name, params, self._context)
        ok = bool(answer.get("ok"))
        self._put("answer", id, answer.get("result") if ok else answer.get("failure"), ok=ok)
        if ok and output and name == "form.submit":
            begun = {**answer["result"], "workspace": params.get("workspace") or ""}
            self._begun[output] = begun
            self._put("begun", output, begun)
            self._on_begun(output, begun)

    def _send_part(self, id: str, name: str) -> None:
        """Sends the module of a part of the panel, which few pages need (`ui/part.tsx`)."""
        if name in PARTS:
            self._put("answer", id, (STATIC / f"{name}.js").read_text("utf-8"), ok=True)
            return
        error = bad_request(f"there is no part {name[:60]!r}", "this version of the panel has none of that name")
        self._put("answer", id, describe_error(error, self._context), ok=False)

    def _subscribe(self, id: str, topic: str, params: Any) -> None:
        seq, window = 0, self._windows.get(id)

        def send(event: dict[str, Any]) -> None:
            nonlocal seq
            seq += 1
            characters = self._put("event", id, event, seq=seq)
            if window is not None:
                window.send(seq, characters)

        def is_full() -> bool:
            return self._outbox.is_full() or (window is not None and window.is_full())

        try:
            subscription = self._subscriptions.subscribe(topic, params, send, is_full)
        except Exception as error:
            if not isinstance(error, MldeployError):
                import logging

                logging.getLogger(__name__).info("subscribing to %s failed", topic, exc_info=error)
            self._put("refused", id, describe_error(error, self._context))
            return
        with self._lock:
            wanted = id in self._subscribed
            if wanted:
                self._subscribed[id] = subscription
            hidden = id in self._hidden
        if not wanted:  # the page has ended it meanwhile
            subscription()
        elif hidden:
            subscription.set_visible(False)

    def _unsubscribe(self, id: str) -> None:
        with self._lock:
            subscription = self._subscribed.pop(id, None)
            self._windows.pop(id, None)
            self._hidden.discard(id)
        if subscription is not None:  # may have to wait for a look in progress
            self._in_thread(subscription)

    def _set_visible(self, id: str, visible: bool) -> None:
        with self._lock:
            subscription = self._subscribed.get(id)
            (self._hidden.discard if visible else self._hidden.add)(id)
        if subscription is not None:
            subscription.set_visible(visible)

    def _put(self, kind: str, id: str, body: Any, **more: Any) -> int:
        """Sends a message. Returns the characters of its body."""
        text = to_json_text(body)
        self._outbox.put({"kind": kind, "id": id, **more, "body": text})
        return len(text)

    def _in_thread(self, run: Callable[[], Any]) -> None:
        threading.Thread(target=run, name="mldeploy-panel-request", daemon=True).start()
