"""Nobody listens to an engine's events once a glance is closed."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

from mldeploy_jupyter.targets.docker.glance import _Events


class Stream:
    """Events of an engine where nothing happens."""

    def __init__(self) -> None:
        self.closed = threading.Event()

    def __iter__(self) -> Iterator[dict[str, Any]]:
        self.closed.wait()
        return iter(())

    def close(self) -> None:
        self.closed.set()


def test_a_stream_that_opens_after_the_close_is_ended():
    asked, answer, stream = threading.Event(), threading.Event(), Stream()

    def subscribe(filters: dict[str, Any]) -> Stream:
        asked.set()
        answer.wait()
        return stream

    engine = SimpleNamespace(endpoint=None, client=SimpleNamespace(events=subscribe))
    events = _Events(lambda: engine, "w", threading.Event())
    assert asked.wait(10)
    events.close()
    answer.set()
    assert stream.closed.wait(10)
