"""The kernel's side of a panel, as a page sees it: the mark in the output, the comm, requests and events."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from html import unescape
from pathlib import Path
from typing import Any

from tests.integration.notebook.conftest import Kernel
from tests.integration.notebook.support import gated


class PageEnd:
    """A page's end of the comm."""

    def __init__(self, kernel: Kernel, comm_id: str) -> None:
        self.client, self.comm_id = kernel.client, comm_id
        self.seen: list[dict[str, Any]] = []

    def send(self, kind: str, id: str, **more: Any) -> None:
        data = {"method": "custom", "content": {"kind": kind, "id": id, **more}}
        message = self.client.session.msg("comm_msg", {"comm_id": self.comm_id, "data": data})
        self.client.shell_channel.send(message)

    def wait_for(self, wanted: Callable[[dict[str, Any]], bool], seconds: float = 60) -> dict[str, Any]:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            message = self.client.get_iopub_msg(timeout=max(0.1, end - time.monotonic()))
            if message["msg_type"] != "comm_msg" or message["content"]["comm_id"] != self.comm_id:
                continue
            content = message["content"]["data"].get("content") or {}
            self.seen.append(content)
            if wanted(content):
                return dict(content)
        raise AssertionError(f"not among {[(each['kind'], each['id']) for each in self.seen]}")


def run(kernel: Kernel, code: str, allow_stdin: bool = True) -> list[dict[str, Any]]:
    """Every message on iopub until the cell has ended, also those that belong to no cell."""
    asked = kernel.client.execute(code, allow_stdin=allow_stdin)
    messages: list[dict[str, Any]] = []
    while True:
        messages.append(kernel.client.get_iopub_msg(timeout=120))
        ended = messages[-1]["content"].get("execution_state") == "idle"
        if ended and messages[-1]["parent_header"].get("msg_id") == asked:
            return messages


def opened(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    comms = [message["content"] for message in messages if message["msg_type"] == "comm_open"]
    return [comm for comm in comms if "panel_id" in comm["data"].get("state", {})]


def marker(messages: list[dict[str, Any]]) -> dict[str, Any]:
    html = next(
        message["content"]["data"]["text/html"] for message in messages if message["msg_type"] == "display_data"
    )
    found = re.search(r'data-mldeploy="([^"]*)"', html)
    assert found is not None, html
    return dict(json.loads(unescape(found[1])))


def test_a_page_asks_and_subscribes_over_the_widgets_comm(prepared: Kernel) -> None:
    messages = run(prepared, "%deploy factor")
    (comm,) = opened(messages)
    state, about = comm["data"]["state"], marker(messages)
    assert about["kernel"] == state["panel_id"] and about["service"] == "factor"
    assert not state["service"]  # it connects all panels, and is none itself
    page = PageEnd(prepared, comm["comm_id"])
    page.send("hello", "h", page="notebook")
    assert page.wait_for(lambda content: content["id"] == "h")["kind"] == "welcome"
    where = {"workspace": about["workspace"]}
    page.send("subscribe", "s", topic="deployment", params={"deployment": about["deployment"], **where})

    def is_live(content: dict[str, Any]) -> bool:
        timeline = json.loads(content["body"] or "null") if content["id"] == "s" else None
        return bool(timeline and (timeline.get("timeline") or {}).get("state") == "live")

    page.wait_for(is_live)
    numbers = [content["seq"] for content in page.seen if content["id"] == "s"]
    assert numbers == list(range(1, len(numbers) + 1))
    page.send("request", "r", name="service.describe", params={"service": "factor", **where})
    answer = page.wait_for(lambda content: content["id"] == "r")
    assert answer["ok"] and json.loads(answer["body"])["state"] == "live"
    page.send("request", "n", name="service.describe", params={"service": "nosuch", **where})
    refused = page.wait_for(lambda content: content["id"] == "n")
    assert not refused["ok"] and json.loads(refused["body"])["code"] == "not-found"
    assert not opened(run(prepared, "%services factor"))  # the next panel needs no other comm


def test_loading_the_magics_makes_no_widget_and_a_program_gets_none(prepared: Kernel) -> None:
    messages = run(prepared, "%deploy factor", allow_stdin=False)
    assert not opened(messages)
    shown = [message["content"]["data"]["text/html"] for message in messages if message["msg_type"] == "display_data"]
    assert shown and "data-mldeploy" not in shown[0]


def test_what_the_first_panel_needs_is_imported_once_the_cell_has_ended(kernel: Kernel) -> None:
    heavy = "sorted({'anywidget', 'ipywidgets', 'plotly', 'docker', 'kubernetes', 'requests'} & set(sys.modules))"
    ran = kernel.ok(f"%reload_ext mldeploy_jupyter\nimport sys; {heavy}")
    assert "plotly" not in ran.result and "docker" not in ran.result and "requests" not in ran.result


def test_the_output_is_true_when_the_kernel_ends(prepared: Kernel) -> None:
    """In a front end that needs a widget's view, what is saved after the end of the kernel has none."""
    prepared.ok("__vsc_ipynb_file__ = 'x.ipynb'")
    script, gate = gated(Path.cwd())
    prepared.ok(f"%%entry_script --no-check\n{script}")
    messages = run(prepared, "%deploy factor")
    (shown,) = [message["content"] for message in messages if message["msg_type"] == "display_data"]
    assert "application/vnd.jupyter.widget-view+json" in shown["data"]
    assert len(opened(messages)) == 2
    prepared.client.shutdown()
    data: dict[str, Any] = {}
    end = time.monotonic() + 60
    while time.monotonic() < end:
        message = prepared.client.get_iopub_msg(timeout=60)
        if message["msg_type"] == "update_display_data":
            data = message["content"]["data"]
            if "application/vnd.jupyter.widget-view+json" not in data:
                break
    assert "application/vnd.jupyter.widget-view+json" not in data
    assert "deploying to this machine" in data["text/plain"] and "%services factor" in data["text/html"]
    gate.touch()


def test_messages_that_wait_for_a_cell_are_not_lost(prepared: Kernel) -> None:
    """The wait of `--wait` handles a page's messages where ipykernel does not; other messages keep their order."""
    script, gate = gated(Path.cwd())
    (comm,) = opened(run(prepared, "%deploy factor --wait"))
    prepared.ok(f"%%entry_script --no-check\n{script}")
    page = PageEnd(prepared, comm["comm_id"])
    waiting = prepared.client.execute("%update factor --wait", allow_stdin=True)
    follow = [prepared.client.execute(f"order = globals().get('order', []) + [{n}]") for n in range(3)]
    page.send("hello", "h", page="notebook")
    page.wait_for(lambda content: content["id"] == "h")  # this client asks for no subshell
    page.send("request", "r", name="service.list", params={})
    page.wait_for(lambda content: content["id"] == "r")
    gate.touch()
    replies = {}
    while len(replies) < 4:
        reply = prepared.client.get_shell_msg(timeout=120)
        if reply["parent_header"].get("msg_id") in (waiting, *follow):
            replies[reply["parent_header"]["msg_id"]] = reply["content"]["status"]
    assert list(replies) == [waiting, *follow] and set(replies.values()) == {"ok"}
    assert prepared.ok("order").result == "[0, 1, 2]"
