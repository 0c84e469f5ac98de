"""A request queue and its script thread on a loop of their own, and the answers that come out."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

from mldeploy_jupyter.serving.http.exchange import Exchange
from mldeploy_jupyter.serving.ipc.scoreboard import Scoreboard
from mldeploy_jupyter.serving.scoring.messages import Response
from mldeploy_jupyter.serving.settings import Settings
from mldeploy_jupyter.serving.worker.request_queue import RequestQueue
from mldeploy_jupyter.serving.worker.script_thread import ScriptThread


class QueueBench:
    """`answers` are (request id, status), `answered` is set by each of them, `stuck` counts calls of `on_stuck`."""

    def __init__(self, script_thread: ScriptThread, **settings: Any) -> None:
        self.loop = asyncio.new_event_loop()
        self.answers: list[tuple[str, int]] = []
        self.answered = threading.Event()
        self.stuck = 0
        scoreboard = Scoreboard()
        self.slot = scoreboard.slot(scoreboard.assign_slot())
        self.queue = RequestQueue(
            Settings(**settings), self.slot, self.loop, self._send_response, lambda result: None, self._on_stuck
        )
        self.script_thread = script_thread
        script_thread.loop = self.loop
        self.queue.attach(script_thread)
        self._threads = [threading.Thread(target=script_thread.serve), threading.Thread(target=self.loop.run_forever)]
        for thread in self._threads:
            thread.start()

    def submit(self, name: str) -> Exchange:
        exchange = Exchange(None, 0.0)  # type: ignore[arg-type]
        exchange.id = name
        self.loop.call_soon_threadsafe(self.queue.submit, exchange)
        return exchange

    def close(self) -> None:
        self.script_thread.stop()
        self.loop.call_soon_threadsafe(self.loop.stop)
        for thread in self._threads:
            thread.join(60)
        self.loop.close()

    def _send_response(self, exchange: Exchange, response: Response) -> None:
        self.answers.append((exchange.id, response.status))
        self.queue.release(exchange)
        self.answered.set()

    def _on_stuck(self) -> None:
        self.stuck += 1
