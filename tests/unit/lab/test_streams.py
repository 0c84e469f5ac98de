"""Streams: what is put by watching threads is written in order, up to a limit, and ends with the page."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from mldeploy_jupyter.core.errors import UserErrorException
from mldeploy_jupyter.lab import streams as module
from mldeploy_jupyter.lab.stream import check_change
from mldeploy_jupyter.lab.streams import Stream, Streams

Send = Callable[[dict[str, Any]], Any]


class Subscribed:
    """What stands for the panel's subscriptions: keeps how to send to each, and which have ended."""

    def __init__(self) -> None:
        self.sends: dict[str, Send] = {}
        self.ended: list[str] = []
        self.visible: dict[str, bool] = {}

    def subscribe(self, topic: Any, params: Any, send: Send, is_full: Callable[[], bool]) -> Any:
        if topic == "wrong":
            raise UserErrorException("no such topic")
        self.sends[topic] = send
        outer = self

        class Subscription:
            def __call__(self) -> None:
                outer.ended.append(topic)

            def set_visible(self, visible: bool) -> None:
                outer.visible[topic] = visible

        return Subscription()


def run(main: Callable[[Streams, Subscribed], Awaitable[None]], **limits: int) -> None:
    async def start() -> None:
        panel = Subscribed()
        most = {"max_streams": 2, "max_subscriptions": 3, "max_bytes": 10_000, **limits}
        await main(
            Streams(panel.subscribe, lambda error: {"code": "bad-request", "error": error.args[0]}, **most), panel
        )

    asyncio.run(start())


def subscribe(*topics: str) -> dict[str, Any]:
    return {"subscribe": [{"id": topic, "topic": topic, "params": {}} for topic in topics]}


def read(data: bytes) -> list[dict[str, Any]]:
    return [json.loads(block.removeprefix("data: ")) for block in data.decode().split("\n\n") if block]


def test_events_are_numbered_for_each_subscription() -> None:
    async def main(streams: Streams, panel: Subscribed) -> None:
        stream = Stream(streams)
        stream.change(subscribe("a", "b", "wrong"))
        await asyncio.to_thread(panel.sends["a"], {"x": 1})
        panel.sends["b"]({"text": "é\ud800\n\ndata: x"})
        panel.sends["a"]({"x": float("nan")})
        refused, *events = read(await stream.take())
        assert refused == {"id": "wrong", "failure": {"code": "bad-request", "error": "no such topic"}}
        assert events == [
            {"id": "a", "seq": 1, "event": {"x": 1}},
            {"id": "b", "seq": 1, "event": {"text": "é\ud800\n\ndata: x"}},
            {"id": "a", "seq": 2, "event": {"x": None}},
        ]

    run(main)


def test_a_silent_stream_says_that_it_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ALIVE_SECONDS", 0.01)

    async def main(streams: Streams, panel: Subscribed) -> None:
        assert await Stream(streams).take() == b":\n\n"

    run(main)


def test_a_page_that_reads_too_slowly_is_cut_off() -> None:
    async def main(streams: Streams, panel: Subscribed) -> None:
        stream = Stream(streams)
        stream.change(subscribe("a"))
        for _ in range(9):
            panel.sends["a"]({"text": "x" * 1000})
        assert not stream.is_closed
        panel.sends["a"]({"text": "x" * 1000})
        assert stream.is_closed and await stream.take() == b""
        for _ in range(100):
            panel.sends["a"]({"text": "x" * 1000})
        assert stream.waiting_bytes < 12_000

    run(main)


def test_a_page_that_reads_gets_everything_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CHUNK_BYTES", 100)

    async def main(streams: Streams, panel: Subscribed) -> None:
        stream = Stream(streams)
        stream.change(subscribe("a"))
        for number in range(50):
            panel.sends["a"]({"n": number})
        found: list[int] = []
        while len(found) < 50:
            found += [one["event"]["n"] for one in read(await asyncio.wait_for(stream.take(), 5))]
        assert found == list(range(50)) and stream.waiting_bytes == 0

    run(main)


def test_subscriptions_are_limited_and_their_places_given_back() -> None:
    async def main(streams: Streams, panel: Subscribed) -> None:
        first, second = Stream(streams), Stream(streams)
        first.change(subscribe("a", "b", "wrong", "a"))
        second.change(subscribe("c", "d"))
        assert read(await second.take())[0]["failure"]["code"] == "busy"
        first.change({"unsubscribe": ["a", "nothing"]})
        second.change(subscribe("e"))
        assert panel.ended == ["a"] and set(panel.sends) == {"a", "b", "c", "e"}
        first.close()
        second.close()
        assert sorted(panel.ended) == ["a", "b", "c", "e"]
        third = Stream(streams)
        third.change(subscribe("f", "g", "h"))
        assert len(panel.sends) == 7

    run(main)


def test_a_stream_that_has_ended_takes_nothing_more() -> None:
    async def main(streams: Streams, panel: Subscribed) -> None:
        stream = Stream(streams)
        stream.end()
        stream.close()
        stream.change(subscribe("a"))
        assert panel.sends == {} and await stream.take() == b""

    run(main)


def test_streams_are_limited() -> None:
    async def main(streams: Streams, panel: Subscribed) -> None:
        first, second, third = (Stream(streams) for _ in range(3))
        assert streams.add(first) and streams.add(second) and not streams.add(third)
        assert streams.find(first.id) is first and streams.find("x") is None
        streams.remove(first)
        assert streams.add(third) and streams.find(first.id) is None

    run(main)


def test_what_nobody_sees_is_told() -> None:
    async def main(streams: Streams, panel: Subscribed) -> None:
        stream = Stream(streams)
        stream.change(subscribe("a"))
        stream.change({"visible": False})
        stream.change(subscribe("b"))
        assert panel.visible == {"a": False, "b": False}

    run(main)


@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        ({}, ""),
        ({"subscribe": [{"id": "1", "topic": 5, "params": None}]}, ""),  # the panel checks topic and parameters
        ({"x": 1}, "it has no parameter 'x'"),
        ({"visible": 1}, "visible must be true or false"),
        ({"unsubscribe": "1"}, "unsubscribe must be a list"),
        ({"unsubscribe": ["x" * 65]}, "unsubscribe must be a list"),
        ({"subscribe": {}}, "subscribe must be a list"),
        ({"subscribe": [{"id": 1, "topic": "a", "params": {}}]}, "subscribe must be a list"),
        ({"subscribe": [{"id": "1", "topic": "a"}]}, "subscribe must be a list"),
    ],
)
def test_a_change_is_checked(body: dict[str, Any], wrong: str) -> None:
    found = check_change(body, "subscribe")
    assert found.startswith(wrong) and bool(found) == bool(wrong)
