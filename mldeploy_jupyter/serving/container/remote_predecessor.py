"""The supervisor of another container as the predecessor in a switch; `hand_over.py` is the other side."""

from __future__ import annotations

import contextlib
import itertools
import queue
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..ipc.channel import Channel
from ..ipc.failure import failure
from ..log.service_log import ServiceLog
from ..supervisor.generation import Aborted
from ..system import unix_socket
from ..system.json_file import write_json
from .hand_over import RETIRED_FILE, SOCKET

ORDER_WAIT = 5.0  # seconds for the other supervisor to answer; its workers answer a pause within half a second

DRAIN_WAIT = 60.0  # seconds for its workers to hand over their idle connections


class RemotePredecessor:
    """Moves the traffic from the supervisor whose state folder is `folder` to the one with `successor`.

    A supervisor that does not run has no traffic, and must not serve again. `adopt` gets its idle connections.
    """

    def __init__(self, folder: Path, successor: Path, adopt: Callable[[list[int]], None], log: ServiceLog) -> None:
        self._folder = folder
        self._successor = successor
        self._adopt = adopt
        self._log = log
        self._channel: Channel | None = None
        self._numbers = itertools.count(1)
        self._answers: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()

    def connect(self) -> None:
        """Makes sure that the other supervisor answers, if it runs. Raises `Aborted`."""
        if not self._folder.is_dir():
            text = f"there is no state folder {self._folder}"
            raise Aborted(failure("no-predecessor", "switch", text))
        if self._connect() and self._request("ping", ORDER_WAIT) is None and self._channel is not None:
            self._abandon()
            raise self._silent()

    def pause(self) -> None:
        if self._channel is None and not self._connect():
            self._log.write(f"the previous container does not run: {self._folder}", level="warning")
            return
        answer = self._request("pause", ORDER_WAIT, to=str(self._successor))
        if answer is None and self._channel is not None:
            self._abandon()  # it accepts again when it sees that
            raise self._silent()
        if answer is not None and answer.get("failure"):
            self._abandon()
            raise Aborted(answer["failure"])

    def resume(self) -> None:
        self._request("accept", ORDER_WAIT)
        self._abandon()

    def retire(self) -> None:
        if self._request("drain", DRAIN_WAIT) is not None:
            return
        # It has died, perhaps, and may be started again at any time. It listens before it looks for this file: either
        # it finds the file, or it is found here.
        self._abandon()
        with contextlib.suppress(OSError):
            write_json(self._folder / RETIRED_FILE, {"to": str(self._successor)})
        if self._connect():
            with contextlib.suppress(Aborted):
                self.pause()
            self._request("drain", DRAIN_WAIT)

    def _connect(self) -> bool:
        """Whether the other supervisor listens."""
        try:
            channel = self._channel = Channel(unix_socket.connect(self._folder / SOCKET))
        except OSError:
            return False
        answers = self._answers = queue.SimpleQueue()

        def read() -> None:
            with contextlib.suppress(ValueError):
                while (received := channel.receive()) is not None:
                    message, fds = received
                    if message.get("event") == "handover":
                        self._adopt(fds)
                    else:
                        answers.put(message)
            if self._channel is channel:
                self._channel = None
            channel.close()
            answers.put(None)

        threading.Thread(target=read, daemon=True, name="predecessor").start()
        return True

    def _request(self, op: str, wait: float, **args: Any) -> dict[str, Any] | None:
        """The answer; None when there is none within `wait` seconds, or the other supervisor has ended."""
        channel, number = self._channel, next(self._numbers)
        if channel is None:
            return None
        try:
            channel.send({**args, "op": op, "id": number})
            while (answer := self._answers.get(timeout=wait)) is not None:
                if answer.get("id") == number:
                    return answer
        except (OSError, queue.Empty):
            pass
        return None

    def _abandon(self) -> None:
        channel, self._channel = self._channel, None
        if channel is not None:
            channel.close()

    def _silent(self) -> Aborted:
        text = f"the previous container runs but does not answer: {self._folder}"
        return Aborted(failure("predecessor-silent", "switch", text))
