"""A worker's parts: the script, the thread that runs it, the loop that answers, and the supervisor's orders."""

from __future__ import annotations

import asyncio
import functools
import gc
import os
import socket
import sys
import threading
import time
from pathlib import Path
from typing import Any

import orjson

from ..azureml import import_hook
from ..http.acceptor import Acceptor
from ..ipc.channel import Channel
from ..ipc.failure import ContractError
from ..ipc.scoreboard import PID, REVISION, STARTED, Scoreboard
from ..log import writer
from ..scoring import row_independence, tracing
from ..scoring.flask_scorer import make_scorer
from ..scoring.messages import Response
from ..scoring.openapi import describe_service
from ..scoring.scorer import Scorer
from ..scoring.script import Script, load_script
from ..settings import Settings
from ..system import allocator
from . import preload
from .app import App
from .batching import Batcher
from .event_loops import new_loop, new_script_loop
from .heartbeat import INTERVAL, Heartbeat
from .idle_memory import IdleMemory
from .jobs import Job
from .lead import Lead
from .sample import is_answered, sample_body, sample_failure, sample_request
from .script_thread import AsyncScriptThread, ScriptThread

# Milliseconds. Batching is not offered to a run() that takes longer: to find out whether its rows are independent, it
# would have to be called again.
MAX_OFFER_MS = 50.0

# Seconds a drained worker lingers: its exit (freeing shared pages) would compete for CPU with the new worker's first
# requests.
LINGER = 0.25

EXIT_LIMIT = 1.0  # seconds to exit in good order; a script that hangs in its thread is cut off

SWITCH_INTERVAL = 0.001  # seconds; see `freeze_memory`

GC_THRESHOLD = (50_000, 20, 50)  # see `freeze_memory`

_DEFAULT_GC_THRESHOLD = gc.get_threshold()


class Service:
    """One worker. `load` runs in the main thread, the loop in a thread of its own."""

    def __init__(
        self, settings: Settings, channel: Channel, listener: socket.socket, scoreboard: Scoreboard, slot_number: int
    ) -> None:
        self.settings = settings
        self.channel = channel
        self.script_thread = ScriptThread(settings.max_concurrent)  # replaced when the script is loaded
        slot = scoreboard.slot(slot_number)
        slot.fields[PID], slot.fields[REVISION] = os.getpid(), max(0, settings.revision)
        slot.fields[STARTED] = int(time.time() * 1000)
        self._loop = new_loop()
        bound = str(listener.getsockname()[0])
        self.app = App(settings, scoreboard, slot, self._loop, lambda: self._send_event("stuck"), bound)
        self._heartbeat = Heartbeat(
            self.app.direct,
            slot,
            self.app.queue,
            lambda: self.script_thread if self.app.phase == "ready" and not self._draining else None,
            lambda: self._send_event("stuck", reason="the script's thread takes no request"),
        )
        self._idle_memory = IdleMemory(self._loop, slot, lambda: self.app.queue.busy or self.app.phase != "ready")
        self.finished = threading.Event()
        self._listener = listener
        self._draining = False

    def start(self, early: bool) -> None:
        """Starts the loop. `early`: accepts connections before the script is loaded, and answers 503 with the phase."""
        started = threading.Event()
        threading.Thread(target=self._run_loop, args=(early, started), daemon=True, name="loop").start()
        started.wait()

    def stage_name(self) -> str:
        return {"sample": "probe"}.get(self.app.phase, self.app.phase)

    # -- loading the script ---------------------------------------------------------------------------

    def load(self) -> dict[str, Any]:
        """Imports the script, calls `init()`, and scores the sample. Returns the message for the supervisor.

        Raises what the script raises, and `ContractError` when the script cannot be served.
        """
        before = preload.snapshot()
        import_hook.install()
        self._enter_stage("import")
        self.app.tracer = tracing.make_tracer(self.settings)
        script = load_script(self.settings)
        self._enter_stage("init")
        script.init()
        scorer = make_scorer(script, debug=self.settings.debug, max_bytes=self.settings.max_body_bytes)
        scorer.tracer = self.app.tracer
        self._attach_script_thread(scorer)
        body = sample_body(script) if self.settings.score_sample else None
        offer = ""
        if body is not None:
            self._enter_stage("sample")
            response = self._score_sample(scorer, body)
            if not is_answered(response):
                return {"event": "failed", "failure": sample_failure(response)}
            offer = self._check_batching(scorer, body, response)
        elif self.settings.max_batch_size:
            text = "max_batch_size needs a sample, on which it is found out whether rows may share a call of run()"
            raise ContractError(text if self.settings.score_sample else f"{text}: no_probe leaves it out")
        freeze_memory()
        allocator.keep_freed_memory(self.settings.memory_limit_mb * 10**6)
        self.app.scorer = scorer
        self.app.set_phase("ready")
        return {
            "event": "ready",
            "sample": body is not None,
            "sample_body": body.decode() if body is not None else None,
            "modules": preload.packages_since(before),
            "openapi_ok": can_describe(script, self.settings),
            "offer": offer,
            "heartbeat": INTERVAL,  # missing from older workers, which beat only while they have requests
            "warnings": [*script.warnings, *scorer.warnings],
        }

    def _attach_script_thread(self, scorer: Scorer) -> None:
        script_thread: ScriptThread
        if scorer.script.is_async:
            path = Path(self.settings.app_root, self.settings.entry_script)
            script_thread = AsyncScriptThread(lambda: new_script_loop(path))
            script_thread.score, script_thread.on_error = scorer.score_async, scorer.failure_response
        else:
            script_thread = ScriptThread(self.settings.max_concurrent)
            if self.settings.max_batch_size and scorer.script.batchable:
                script_thread.process = Batcher(scorer, script_thread, self.settings.max_batch_size).process
                script_thread.max_jobs = self.settings.max_batch_size
            else:
                script_thread.process = functools.partial(process_singly, scorer, script_thread)
            if self.app.tracer is None:
                script_thread.let_lead(Lead(self.app.direct))
        script_thread.loop = self._loop
        self.script_thread = script_thread
        self.app.queue.attach(script_thread)

    def _score_sample(self, scorer: Scorer, body: bytes) -> Response:
        request = sample_request(body, self.settings.sample_headers)
        if isinstance(self.script_thread, AsyncScriptThread):
            response: Response = self.script_thread.run_until_complete(scorer.score_async(request))
            return response
        return scorer.score(request)

    def _check_batching(self, scorer: Scorer, body: bytes, response: Response) -> str:
        """Raises `ContractError` when batching is configured but impossible. Returns an offer when it is the reverse.

        `response` is that of the sample, `body`, scored alone.
        """
        wanted = self.settings.max_batch_size > 0
        if not wanted and (not scorer.script.batchable or response.timings["run"] > MAX_OFFER_MS):
            return ""
        reason = "" if scorer.script.is_async else row_independence.batching_refusal(scorer, body, response)
        if response.status != 200:
            reason = f"run() answers the sample with {response.status}, and a shared call with 200"
        if wanted and scorer.script.is_async:
            reason = "run() is async: its requests run side by side already"
        if wanted and reason:
            raise ContractError(f"max_batch_size cannot be used: {reason}")
        if wanted or reason or scorer.script.is_async:
            return ""
        return (
            "the result of a row does not depend on others: with max_batch_size= waiting requests share a call of run()"
        )

    def _enter_stage(self, name: str) -> None:
        self.app.set_phase(name)
        self._send_event("stage", stage=self.stage_name())

    # -- the supervisor's orders ----------------------------------------------------------------------

    def handle_order(self, message: dict[str, Any], fds: list[int]) -> None:
        """Carries out an order on the loop's thread. Any thread may call it."""
        self._loop.call_soon_threadsafe(self._dispatch, message, fds)

    def _dispatch(self, message: dict[str, Any], fds: list[int]) -> None:
        op = message["op"]
        if op == "adopt":
            for fd in fds:
                self._acceptor.adopt(socket.socket(fileno=fd), message.get("private", False))
        elif op == "ping":
            self._acknowledge(message)
        elif op == "last_request":
            self._acknowledge(message, request=self.app.last_request())
        elif op == "accept":
            self.app.in_service = True
            self._acceptor.accept()
            self._acknowledge(message)
        elif op == "withdraw":
            self.app.in_service = False
            self._acknowledge(message)
        elif op == "listen":
            self._acceptor.listen_on(socket.socket(fileno=fds[0]))
            self._acknowledge(message)
        elif op == "pause":
            self._acceptor.pause()
            self._acknowledge(message)
        elif op == "keys":
            self.app.auth.set_keys(message["keys"])
            self._acknowledge(message)
        elif op in ("drain", "stop"):
            self._drain_task = self._loop.create_task(self._drain(message, closing=op == "stop"))

    async def _drain(self, message: dict[str, Any], closing: bool) -> None:
        """Takes no more requests, answers or hands over those that are here, and ends the process."""
        self.app.in_service = False
        await self._acceptor.drain(closing)
        self._acknowledge(message)
        if self._draining:
            return
        self._draining = True
        try:
            await asyncio.wait_for(self._acceptor.drained.wait(), message["timeout"])
        except TimeoutError:
            pass
        if not closing:
            await asyncio.sleep(LINGER)
        self.finished.set()
        self.script_thread.stop()
        self._loop.call_later(EXIT_LIMIT, os._exit, 0)

    def _run_loop(self, early: bool, started: threading.Event) -> None:
        asyncio.set_event_loop(self._loop)
        self._acceptor = Acceptor(self.app, self._loop, self._listener, self._hand_over)
        if early:
            self._acceptor.accept()
        self._loop.call_soon(started.set)
        self._loop.call_soon(self._heartbeat.beat)
        self._loop.call_soon(self._idle_memory.look)
        self._loop.run_forever()

    def _hand_over(self, fd: int) -> None:
        try:
            self.channel.send({"event": "handover"}, [fd])
        except OSError:
            pass  # the supervisor is gone, and this process is about to end

    def _send_event(self, event: str, **fields: Any) -> None:
        try:
            self.channel.send({"event": event, **fields})
        except OSError:
            pass

    def _acknowledge(self, message: dict[str, Any], **fields: Any) -> None:
        if "id" in message:
            self._send_event("answer", id=message["id"], **fields)


def process_singly(scorer: Scorer, script_thread: ScriptThread, jobs: list[Job]) -> None:
    for job in jobs:
        single = [job]
        script_thread.attempt(single, _score, scorer, job)
        script_thread.deliver(single)


def _score(scorer: Scorer, job: Job) -> None:
    request = job.request
    token = writer.request_id.set(request.id)
    try:
        job.response = scorer.score(request)
    finally:
        writer.request_id.reset(token)


def freeze_memory() -> None:
    """Takes everything loaded so far out of garbage collection, and makes collections and thread switches fit serving.

    A JSON body makes objects by the ten thousand, none of them a cycle. With Python's own thresholds some request would
    pay the tenth of a second that a collection of everything takes.

    The loop waits up to the switch interval for the script's thread to release the global lock: with Python's 5 ms
    answers wait for each other, with less than 1 ms the threads switch too often.
    """
    gc.collect()
    gc.freeze()
    sys.setswitchinterval(SWITCH_INTERVAL)
    if gc.get_threshold() == _DEFAULT_GC_THRESHOLD:  # a script that set its own keeps it
        gc.set_threshold(*GC_THRESHOLD)


def can_describe(script: Script, settings: Settings) -> bool:
    """Whether the OpenAPI document can be made; a parameter type of a third party may fail. Logs the reason."""
    try:
        orjson.dumps(describe_service(script, settings, "3.1"))
    except Exception as error:
        writer.log(f"/swagger.json cannot be made: {type(error).__name__}: {error}", level="warning")
        return False
    return True
