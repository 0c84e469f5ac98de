"""What `docker exec` asks a container that has just been started."""

from __future__ import annotations

import io
import json
import socket
import threading
from pathlib import Path

from mldeploy_jupyter.serving.container.client import await_socket, control
from tests.polling import wait_until


def test_a_container_that_starts_is_waited_for(tmp_path: Path) -> None:
    waiting = threading.Thread(target=await_socket, args=({"MLDEPLOY_FOLDER": str(tmp_path)},))
    waiting.start()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "control.sock"))  # it is there, and refuses connections
        assert waiting.is_alive()
        server.listen()
        wait_until(lambda: not waiting.is_alive(), seconds=10)
    waiting.join(1)


def test_a_request_that_says_so_is_followed_by_another_one(tmp_path: Path) -> None:
    def ask(*requests: dict[str, object]) -> tuple[int, list[bool]]:
        lines = "".join(json.dumps(request) + "\n" for request in requests)
        out = io.StringIO()
        code = control({"MLDEPLOY_FOLDER": str(tmp_path)}, io.StringIO(lines), out)
        answers = [json.loads(line) for line in out.getvalue().splitlines()]
        assert {answer["failure"]["code"] for answer in answers} == {"supervisor-lost"}  # none listens here
        return code, ["more" in answer for answer in answers]

    status, more = {"op": "status"}, {"op": "status", "more": True}
    assert ask(status, status) == (1, [False])
    assert ask(more, status, status) == (1, [True, False])
    assert ask(more) == (1, [True])  # whoever asked has gone
