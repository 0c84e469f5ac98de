"""The output of a program in a container comes in frames, which need not end where its lines do."""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections.abc import Iterator

import pytest

from mldeploy_jupyter.targets.docker import control
from mldeploy_jupyter.targets.docker.control import ContainerGone, Conversation, _read_lines


def frame(stream: int, data: bytes) -> bytes:
    return struct.pack(">BxxxL", stream, len(data)) + data


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    near, far = socket.socketpair()
    with near, far:
        yield near, far


def test_lines_are_put_together_from_frames_and_errors_kept_apart(pair):
    near, far = pair
    far.sendall(frame(1, b'{"a"') + frame(2, b"warning\n") + frame(1, b":1}\n{}\n") + frame(1, b"no end"))
    far.close()
    errors: list[str] = []
    assert list(_read_lines(near, 1.0, lambda: None, errors)) == [b'{"a":1}', b"{}"]
    assert errors == ["warning\n"]


def test_a_frame_that_arrives_in_pieces_is_waited_for(pair):
    near, far = pair
    data = frame(1, b"whole\n")
    far.sendall(data[:5])
    asked = []

    def more() -> None:
        asked.append(1)
        far.sendall(data[5:])
        far.close()

    assert list(_read_lines(near, 0.01, more, [])) == [b"whole"]
    assert asked == [1]


def test_silence_is_asked_about_again_and_again(pair):
    class Enough(Exception):
        pass

    asked: list[int] = []

    def idle() -> None:
        asked.append(1)
        if len(asked) == 3:
            raise Enough

    with pytest.raises(Enough):
        list(_read_lines(pair[0], 0.001, idle, []))


class Programs:
    """The programs that are run in a container: each takes as many requests as it has answers, and ends."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *answers: list[list[dict[str, object]]]) -> None:
        self.answers = list(answers)
        self.requests: list[list[dict[str, object]]] = []
        self.threads: list[threading.Thread] = []
        monkeypatch.setattr(control, "_start", self.start)

    def start(self, engine: object, container: str) -> socket.socket:
        near, far = socket.socketpair()
        self.requests.append([])
        self.threads.append(threading.Thread(target=self.run, args=(far, self.answers.pop(0), self.requests[-1])))
        self.threads[-1].start()
        return near

    def run(
        self, far: socket.socket, answers: list[list[dict[str, object]]], requests: list[dict[str, object]]
    ) -> None:
        with far, far.makefile("rb") as file:
            for messages in answers:
                requests.append(json.loads(file.readline()))
                for message in messages:
                    far.sendall(frame(1, json.dumps(message).encode() + b"\n"))

    def join(self) -> None:
        for thread in self.threads:
            thread.join(10)
            assert not thread.is_alive()


def test_a_program_that_stays_takes_the_next_request(monkeypatch):
    programs = Programs(monkeypatch, [[{"event": "log"}, {"ok": True, "more": True}], [{"ok": False}]])
    conversation, events = Conversation(None, "c"), []
    assert conversation.call("await", events.append, more=True) == {"ok": True}
    assert conversation.call("take-over", to=1) == {"ok": False}
    assert events == [{"event": "log"}]
    programs.join()
    assert programs.requests == [[{"op": "await", "more": True}, {"to": 1, "op": "take-over"}]]


def test_a_program_of_an_older_image_is_run_for_each_request(monkeypatch):
    programs = Programs(monkeypatch, [[{"ok": True}]], [[{"ok": True}]], [[]])
    conversation = Conversation(None, "c")
    assert conversation.call("await", more=True) == {"ok": True}
    assert conversation.call("take-over") == {"ok": True}
    with pytest.raises(ContainerGone):
        conversation.call("status")
    programs.join()
    assert [[request["op"] for request in read] for read in programs.requests] == [["await"], ["take-over"], ["status"]]
