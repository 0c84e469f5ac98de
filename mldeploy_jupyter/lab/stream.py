"""The stream of events: one connection of a page carries all that it has subscribed to, as server-sent events.

It is opened with a POST that names the subscriptions; further POSTs to `stream/<id>` add and end some. It ends with its
connection, and nothing of it stays: a page that connects again names its subscriptions again, each with the number of
the last line that it has.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from functools import partial
from typing import Any

from jupyter_server.auth.decorator import authorized
from tornado import web
from tornado.iostream import StreamClosedError

from mldeploy_jupyter.lab.handlers import MldeployHandler, failure
from mldeploy_jupyter.lab.streams import Stream

MAX_ID = 64  # characters of a subscription's id


def check_change(body: dict[str, Any], subscribe: str) -> str:
    """What is wrong with a page's change, "" when it is right. `subscribe` is the key of new subscriptions."""
    wrong = sorted(set(body) - {subscribe, "unsubscribe", "visible"})
    if wrong:
        return f"it has no parameter {wrong[0][:60]!r}"
    if not isinstance(body.get("visible", True), bool):
        return "visible must be true or false"
    ended, new = body.get("unsubscribe", []), body.get(subscribe, [])
    if not isinstance(ended, list) or not all(map(_is_id, ended)):
        return "unsubscribe must be a list of ids"
    if not isinstance(new, list) or not all(_is_subscription(one) for one in new):
        return f"{subscribe} must be a list of objects with id, topic and params"
    return ""


def read_change(handler: MldeployHandler, subscribe: str) -> dict[str, Any] | None:
    """The change that a request asks for; None after it was refused. `subscribe` is as in `check_change`."""
    try:
        body = handler.read_json()
        wrong = check_change(body, subscribe)
    except ValueError as error:
        wrong = str(error)
    if not wrong:
        return body
    handler.refuse(wrong)
    return None


def _is_id(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= MAX_ID


def _is_subscription(value: Any) -> bool:
    return isinstance(value, dict) and set(value) == {"id", "topic", "params"} and _is_id(value["id"])


class StreamHandler(MldeployHandler):
    """Opens a stream and writes its events until the page is gone."""

    _track_activity = False  # an open page does not count as activity: an idle server may be culled
    stream: Stream | None = None

    @web.authenticated
    @authorized("read")  # type: ignore[untyped-decorator]
    async def post(self) -> None:
        body = read_change(self, "subscriptions")
        if body is None:
            return
        app = self.mldeploy
        stream = self.stream = Stream(app.streams)
        if not app.streams.add(stream):
            cause = f"{app.max_streams} pages are connected already: c.MldeployApp.max_streams"
            self.send_failure(failure("busy", "this page cannot be connected", cause, "close some pages"))
            return
        try:
            self.set_header("Content-Type", "text/event-stream")
            self.set_header("X-Accel-Buffering", "no")  # for nginx, which would hold events back
            stream.put({"stream": stream.id})
            beginning = asyncio.create_task(self._begin(stream, body))
            beginning.add_done_callback(partial(_end_failed, self, stream))
            while data := await stream.take():
                self.write(data)
                await self.flush()
            beginning.cancel()
        except StreamClosedError:
            pass
        finally:
            app.streams.remove(stream)
            stream.end()
            await app.quick.run(stream.close, always=True)
            if self.request.connection is not None and self._headers_written and not self._finished:
                self.request.connection.stream.close()  # type: ignore[attr-defined]

    async def _begin(self, stream: Stream, body: dict[str, Any]) -> None:
        change = {"subscribe": body.get("subscriptions", []), "visible": body.get("visible", True)}
        async with stream.turn:
            for part in _in_parts(change):
                await self.mldeploy.quick.run(partial(stream.change, part), always=True)

    def on_connection_close(self) -> None:
        super().on_connection_close()
        if self.stream is not None:
            self.stream.end()


def _end_failed(handler: StreamHandler, stream: Stream, beginning: asyncio.Task[None]) -> None:
    """Ends a stream whose subscriptions could not be begun: the page tries again."""
    if not beginning.cancelled() and (error := beginning.exception()) is not None:
        handler.log.error("mldeploy: a stream could not be begun", exc_info=error)
        stream.end()


def _in_parts(change: dict[str, Any]) -> Iterable[dict[str, Any]]:
    """The change in parts, so that a page with very many subscriptions occupies no thread for long."""
    yield {"visible": change["visible"]}
    for start in range(0, len(change["subscribe"]), 50):
        yield {"subscribe": change["subscribe"][start : start + 50]}


class ChangeHandler(MldeployHandler):
    """Changes what a stream carries."""

    _track_activity = False

    @web.authenticated
    @authorized("read")  # type: ignore[untyped-decorator]
    async def post(self, id: str) -> None:
        stream = self.mldeploy.streams.find(id)
        if stream is None:
            raise web.HTTPError(404)
        body = read_change(self, "subscribe")
        if body is None:
            return
        async with stream.turn:
            await self.run(self.mldeploy.quick, partial(stream.change, body))
        self.set_status(204)
        self.finish()
