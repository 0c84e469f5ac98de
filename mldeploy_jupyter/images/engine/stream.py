"""Long requests to the engine, whose answer is a stream of JSON lines: builds and pulls.

The Docker SDK's own generators block until the next line, without an end: a build could then neither be cancelled nor
told from an engine that hangs. Here a thread sends and reads while the caller watches the clock.
"""

from __future__ import annotations

import contextlib
import json
import queue
import socket
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from mldeploy_jupyter.docker_engine import EngineError, engine_errors

if TYPE_CHECKING:
    from mldeploy_jupyter.docker_engine import Engine
    from mldeploy_jupyter.images.types import Cancel

IDLE_SECONDS = 20.0  # without a line before the engine is pinged, repeatedly

PING_SECONDS = 5.0  # for its answer

_POLL = 0.1  # seconds

_END = object()


class _Stopped(Exception):
    """Ends the request body early, because the caller no longer waits for the answer."""


class EngineStream:
    """One request. `events` are the objects of the answer; leaving the block ends the request, and the build with it.

    `path` is below the API's version, such as "/build". `body` is sent in pieces as they come.
    """

    def __init__(
        self,
        engine: Engine,
        path: str,
        params: Mapping[str, Any],
        *,
        body: Iterable[bytes] = (),
        headers: Mapping[str, str] | None = None,
        idle: float = IDLE_SECONDS,
    ) -> None:
        self._engine, self._path, self._params = engine, path, params
        self._body, self._headers, self._idle = body, dict(headers or {}), idle
        self._queue: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._response: Any = None
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="mldeploy-engine-stream", daemon=True)

    def __enter__(self) -> EngineStream:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        response = self._response
        with contextlib.suppress(Exception):  # a connection that has ended already
            response.raw.connection.sock.shutdown(socket.SHUT_RDWR)  # wakes the thread, and ends the build
        self._thread.join(5)

    @property
    def is_running(self) -> bool:
        """Whether the request is still under way."""
        return self._thread.is_alive()

    def events(self, cancel: Cancel) -> Iterator[dict[str, Any]]:
        """The objects as they arrive. `cancel` is called ten times a second, and ends it by raising.

        Raises:
            EngineError: the engine refused, the connection broke, or the engine does not answer any longer.
        """
        last = time.monotonic()
        while True:
            cancel()
            try:
                item = self._queue.get(timeout=_POLL)
            except queue.Empty:
                if time.monotonic() - last > self._idle:
                    self._engine.ping(PING_SECONDS)  # a step that prints nothing is not a reason to end
                    last = time.monotonic()
                continue
            last = time.monotonic()
            if item is _END:
                return
            if isinstance(item, BaseException):
                with engine_errors(self._engine.endpoint):
                    raise item
            yield item

    def _run(self) -> None:
        from docker.errors import create_api_error_from_http_exception
        from requests.exceptions import HTTPError

        api = self._engine.client.api
        url = f"{api.base_url}/v{api.api_version}{self._path}"
        params = {name: value for name, value in self._params.items() if value is not None}
        try:
            with api.post(
                url, data=self._pieces(), params=params, headers=self._headers, stream=True, timeout=(10, None)
            ) as response:
                self._response = response
                try:
                    response.raise_for_status()
                except HTTPError as error:
                    create_api_error_from_http_exception(error)  # raises
                for line in response.iter_lines():
                    if line.strip():
                        self._queue.put(json.loads(line))
                    if self._stopped.is_set():
                        return
            self._queue.put(_END)
        except _Stopped:
            pass
        except BaseException as error:
            if not self._stopped.is_set():
                self._queue.put(error)

    def _pieces(self) -> Iterator[bytes]:
        for piece in self._body:
            if self._stopped.is_set():
                raise _Stopped
            yield piece


def lost_error(engine: Engine, message: str) -> EngineError:
    """The error for an answer that ended before it was complete."""
    return EngineError({"code": "engine-lost", "message": message, "endpoint": engine.endpoint.url})
