"""The kernel's end of a panel's comm: it never waits, never raises, and keeps below the server's limit."""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Callable
from typing import Any

import pytest

from mldeploy_jupyter.core.errors import WebserviceException
from mldeploy_jupyter.notebook.panel_connection import (
    BURST,
    FULL_CHARACTERS,
    MESSAGES_PER_SECOND,
    RECEIVE_SECONDS,
    WINDOW_CHARACTERS,
    Outbox,
    PanelConnection,
    Window,
)
from mldeploy_jupyter.panel import PanelContext
from mldeploy_jupyter.panel.json_text import to_json_text
from tests.polling import wait_until

Message = dict[str, Any]


class Subscribed:
    """What `Subscriptions.subscribe` returns."""

    def __init__(self) -> None:
        self.ended = False
        self.visible = True

    def __call__(self) -> None:
        self.ended = True

    def set_visible(self, visible: bool) -> None:
        self.visible = visible


class Topics:
    """In the place of `Subscriptions`: events are sent by the test."""

    def __init__(self) -> None:
        self.begun: list[tuple[str, Any, Callable[[Any], Any], Subscribed]] = []
        self.are_full: list[Callable[[], bool]] = []
        self.may_begin = threading.Event()
        self.may_begin.set()

    def subscribe(self, topic: str, params: Any, send: Callable[[Any], Any], is_full: Callable[[], bool]) -> Subscribed:
        self.may_begin.wait(60)
        if topic == "refused":
            raise WebserviceException("there is no service 'x'", why="w", hint="h", code="WebserviceNotFound")
        self.are_full.append(is_full)
        self.begun.append((topic, params, send, Subscribed()))
        return self.begun[-1][3]


class Page:
    """The other end: sends messages to the kernel and keeps what comes back."""

    def __init__(self, answer: Callable[[str, Any, PanelContext], dict[str, Any]]) -> None:
        self.messages: list[Message] = []
        self.hellos: list[str] = []
        self.forms: list[tuple[str, Message]] = []
        self.topics = Topics()
        subscriptions: Any = self.topics
        self.connection = PanelConnection(
            PanelContext(),
            subscriptions,
            self.messages.append,
            on_hello=self.hellos.append,
            on_begun=lambda *begun: self.forms.append(begun),
            answer=answer,
        )

    def send(self, kind: str, id: str, **more: Any) -> None:
        self.connection.receive({"kind": kind, "id": id, **more})

    def wait_for(self, id: str) -> Message:
        return wait_until(lambda: next((each for each in self.messages if each["id"] == id), None)) or {}


@pytest.fixture
def page() -> Page:
    return Page(lambda name, params, context: {"ok": True, "result": [name, params]})


def test_a_request_is_answered_with_its_id(page: Page) -> None:
    page.send("request", "r1", name="service.describe", params={"service": "churn"})
    answer = page.wait_for("r1")
    assert (answer["kind"], answer["ok"]) == ("answer", True)
    assert json.loads(answer["body"]) == ["service.describe", {"service": "churn"}]


def test_a_refusal_has_its_failure_in_the_body() -> None:
    page = Page(lambda *_: {"ok": False, "failure": {"code": "lost"}})
    page.send("request", "r1", name="x", params={})
    answer = page.wait_for("r1")
    assert not answer["ok"] and json.loads(answer["body"]) == {"code": "lost"}


def test_what_a_form_began_is_noted_and_told_to_every_page_whoever_has_sent_it() -> None:
    page = Page(lambda *_: {"ok": True, "result": {"service": "churn", "deployment": "d1", "model": ""}})
    page.send("request", "r1", name="form.submit", params={"workspace": "w"}, output="form-1")
    begun = {"service": "churn", "deployment": "d1", "model": "", "workspace": "w"}
    assert wait_until(lambda: page.forms) == [("form-1", begun)]
    assert json.loads(page.wait_for("form-1")["body"]) == begun
    page.messages.clear()
    page.send("hello", "h1", page="notebook")  # the page was loaded again
    assert json.loads(page.wait_for("form-1")["body"]) == begun


def test_a_form_that_was_refused_or_another_request_begins_nothing() -> None:
    page = Page(lambda name, *_: {"ok": name != "form.submit", "failure": {}, "result": []})
    page.send("request", "r1", name="form.submit", params={}, output="form-1")
    page.send("request", "r2", name="service.list", params=None, output="form-1")
    page.wait_for("r1"), page.wait_for("r2")
    page.send("hello", "h1", page="notebook")
    page.wait_for("h1")
    assert not page.forms and "begun" not in {message["kind"] for message in page.messages}


def test_a_slow_request_delays_neither_the_next_one_nor_the_thread_that_delivers() -> None:
    gate = threading.Event()

    def answer(name: str, params: Any, context: PanelContext) -> dict[str, Any]:
        if name == "slow":
            gate.wait(60)
        return {"ok": True, "result": name}

    page = Page(answer)
    page.send("request", "slow", name="slow")
    page.send("request", "quick", name="quick")
    assert page.wait_for("quick")["ok"]
    assert not [message for message in page.messages if message["id"] == "slow"]
    gate.set()
    assert page.wait_for("slow")["ok"]


def test_events_are_numbered_from_one(page: Page) -> None:
    page.send("subscribe", "s1", topic="deployment", params={"deployment": "d"})
    topic, params, send, _ = wait_until(lambda: page.topics.begun)[0]
    assert (topic, params) == ("deployment", {"deployment": "d"})
    send({"lines": [1]})
    send({"lines": [2]})
    wait_until(lambda: len(page.messages) == 2)
    assert [(m["kind"], m["seq"], json.loads(m["body"])) for m in page.messages] == [
        ("event", 1, {"lines": [1]}),
        ("event", 2, {"lines": [2]}),
    ]


def test_a_subscription_that_is_refused_says_why(page: Page) -> None:
    page.send("subscribe", "s1", topic="refused", params={})
    refused = page.wait_for("s1")
    assert refused["kind"] == "refused" and json.loads(refused["body"])["code"] == "not-found"


def test_unsubscribing_ends_it_also_while_it_begins(page: Page) -> None:
    page.send("subscribe", "s1", topic="t", params={})
    wait_until(lambda: page.topics.begun)
    page.send("unsubscribe", "s1")
    wait_until(lambda: page.topics.begun[0][3].ended)
    page.topics.may_begin.clear()
    page.send("subscribe", "s2", topic="t", params={})
    page.send("unsubscribe", "s2")
    page.topics.may_begin.set()
    wait_until(lambda: len(page.topics.begun) == 2 and page.topics.begun[1][3].ended)


def test_what_nobody_sees_is_told_also_while_it_begins(page: Page) -> None:
    page.topics.may_begin.clear()
    page.send("subscribe", "s1", topic="t", params={})
    page.send("visible", "s1", visible=False)
    page.topics.may_begin.set()
    wait_until(lambda: page.topics.begun and not page.topics.begun[0][3].visible)
    page.send("visible", "s1", visible=True)
    assert page.topics.begun[0][3].visible


def test_closing_ends_every_subscription(page: Page) -> None:
    page.send("subscribe", "s1", topic="t", params={})
    wait_until(lambda: page.topics.begun)
    wait_until(lambda: page.connection._subscribed["s1"] is not None)
    page.connection.close()
    assert page.topics.begun[0][3].ended


def test_a_page_that_says_hello_is_welcomed(page: Page) -> None:
    page.send("hello", "h1", page="notebook")
    assert page.wait_for("h1")["kind"] == "welcome"
    assert page.hellos == ["notebook"]


@pytest.mark.parametrize("message", [None, [], "x", {}, {"kind": "request"}, {"kind": "other", "id": "1"}, {"id": 3}])
def test_nonsense_is_ignored(page: Page, message: Any) -> None:
    page.connection.receive(message)
    assert page.messages == []


def test_messages_leave_in_order_and_below_the_servers_limit() -> None:
    now, sent = [0.0], list[tuple[float, Message]]()

    def sleep(seconds: float) -> None:
        now[0] += seconds

    outbox = Outbox(lambda message: sent.append((now[0], message)), clock=lambda: now[0], sleep=sleep)
    outbox._running = True  # the test sends
    count = 3000
    for number in range(count):
        outbox.put({"n": number, "body": ""})
    while outbox.send_next():
        pass
    assert [message["n"] for _, message in sent] == list(range(count))
    assert sent[BURST - 1][0] == 0.0  # at once
    assert now[0] == pytest.approx((count - BURST) / MESSAGES_PER_SECOND, rel=0.05)


def test_an_outbox_is_full_while_megabytes_wait() -> None:
    sent: list[Message] = []
    outbox = Outbox(sent.append)
    outbox._running = True  # the test sends
    for _ in range(4):
        assert not outbox.is_full()
        outbox.put({"body": "x" * (FULL_CHARACTERS // 4)})
    assert outbox.is_full()
    outbox.send_next()
    assert not outbox.is_full()
    while outbox.send_next():
        pass
    assert len(sent) == 4 and outbox._characters == 0


def test_a_window_is_full_until_the_page_has_received_some_of_it_or_says_nothing() -> None:
    now = [0.0]
    window = Window(lambda: now[0])
    for seq in range(1, 5):
        assert not window.is_full()
        now[0] += 1.5 * RECEIVE_SECONDS  # not full, so no silence
        window.send(seq, WINDOW_CHARACTERS // 4)
    assert window.is_full()
    now[0] += 0.9 * RECEIVE_SECONDS
    assert window.is_full()
    window.receive(1)
    assert not window.is_full()
    window.send(5, WINDOW_CHARACTERS)
    window.receive(99)  # whatever a page says
    assert not window.is_full()
    window.send(6, WINDOW_CHARACTERS)
    now[0] += 0.9 * RECEIVE_SECONDS
    assert window.is_full()
    now[0] += 0.2 * RECEIVE_SECONDS
    assert not window.is_full()


def test_only_a_page_that_says_so_is_waited_for(page: Page) -> None:
    for id, receives in (("new", {"receives": True}), ("old", {})):
        page.send("subscribe", id, topic="serviceLog", params={"service": "churn"}, **receives)
        wait_until(lambda id=id: page.connection._subscribed.get(id))
    for _, _, send, _ in page.topics.begun:
        for _ in range(4):
            send({"lines": ["x" * (WINDOW_CHARACTERS // 4)]})
    new, old = page.topics.are_full
    wait_until(lambda: not old())
    assert new()
    page.send("received", "new", seq="2")  # is not what a page sends
    page.send("received", "other", seq=2)
    assert new()
    page.send("received", "new", seq=2)
    assert not new()


def test_bodies_are_ascii_with_lone_surrogates_kept_and_nan_as_null() -> None:
    body = to_json_text({"text": "\ud800\u202e\x00é", "ms": math.nan, "all": [math.inf, 1.5], "when": object})
    assert body.isascii()
    assert json.loads(body)["text"] == "\ud800\u202e\x00é"
    assert json.loads(body)["ms"] is None and json.loads(body)["all"] == [None, 1.5]


def test_a_page_gets_the_module_of_a_part_and_no_other_file() -> None:
    page = Page(lambda name, params, context: {"ok": True, "result": None})
    page.send("part", "p-1", name="latency")
    sent = page.wait_for("p-1")
    assert (sent["ok"] and json.loads(sent["body"]).startswith("export default(")) or "export default" in sent["body"]
    page.send("part", "p-2", name="../panel_widget")
    refused = page.wait_for("p-2")
    assert not refused["ok"] and json.loads(refused["body"])["error"] == "there is no part '../panel_widget'"


def test_the_theme_of_a_page_is_told() -> None:
    page, themes = Page(lambda name, params, context: {"ok": True, "result": None}), list[bool]()
    page.connection._on_theme = themes.append
    page.send("theme", "", dark=True)
    page.send("theme", "", dark="no truth value")
    assert themes == [True, False]
