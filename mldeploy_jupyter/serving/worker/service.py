"""What a worker is made of: the script, the thread that runs it, the loop that answers, the supervisor's orders."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import sys
import threading
import time
from typing import Any

import orjson

from ..azureml import import_hook
from ..http.acceptor import Acceptor
from ..ipc.channel import Channel
from ..ipc.failure import ContractError, failure, from_exception
from ..ipc.scoreboard import PID, REVISION, STARTED, Scoreboard
from ..log import writer
from ..scoring import row_independence, tracing
from ..scoring.messages import Request, Response
from ..scoring.openapi import describe_service
from ..scoring.scorer import Scorer
from ..scoring.script import Script, load_script
from ..settings import Settings
from . import preload
from .app import App
from .batching import Batcher
from .jobs import Job
from .script_thread import AsyncScriptThread, ScriptThread

OFFER_WITHIN = 50.0  # milliseconds: a run() that takes longer is not called again only to offer something

# Seconds that a worker which nobody needs any more stays: its end frees memory that the new one shares, and takes a
# processor just when the new one gets its first requests.
LAST_WAIT = 0.25


class Service:
    """One worker's parts. `load` runs in the main thread, the loop in its own."""

    def __init__(
        self, settings: Settings, channel: Channel, listener: socket.socket, board: Scoreboard, slot: int
    ) -> None:
        self.settings = settings
        self.channel = channel
        self.runner = ScriptThread(settings.max_concurrent)
        mine = board.slot(slot)
        mine.fields[PID], mine.fields[REVISION] = os.getpid(), max(0, settings.revision)
        mine.fields[STARTED] = int(time.time() * 1000)
        self.app = App(settings, board, mine, on_stuck=lambda: self._tell("stuck"))
        self.finished = threading.Event()
        self._listener = listener
        self._loop = _new_loop()
        self._going = False

    def start(self, early: bool) -> None:
        """Starts the loop. `early` answers before the script is loaded: 503, with the reason."""
        started = threading.Event()
        threading.Thread(target=self._run_loop, args=(early, started), daemon=True, name="loop").start()
        started.wait()

    def stage_name(self) -> str:
        return {"sample": "probe"}.get(self.app.phase, self.app.phase)

    def load(self) -> dict[str, Any]:
        """Imports the script, calls `init()`, scores the sample. Returns the message for the supervisor."""
        before = preload.snapshot()
        import_hook.install()
        self._stage("import")
        self.app.tracer = tracing.make_tracer(self.settings)
        script = load_script(self.settings)
        self._stage("init")
        script.init()
        scorer = Scorer(script, debug=self.settings.debug, max_bytes=self.settings.max_body_bytes)
        scorer.tracer = self.app.tracer
        self._employ(scorer)
        body = sample_body(script)
        offer = ""
        if body is not None:
            self._stage("sample")
            response = self._score_sample(scorer, body)
            if response.status != 200:
                return {"event": "failed", "failure": failed_sample(response)}
            offer = self._check_sharing(scorer, body, response)
        elif self.settings.max_batch_size:
            text = "max_batch_size needs a sample, on which it is found out whether rows may share a call of run()"
            raise ContractError(text)
        settle_memory()
        self.app.scorer = scorer
        self.app.set_phase("ready")
        return {
            "event": "ready",
            "sample": body is not None,
            "sample_body": body.decode() if body is not None else None,
            "modules": preload.packages_since(before),
            "openapi_ok": describes(script, self.settings),
            "offer": offer,
            "warnings": [*script.warnings, *scorer.warnings],
        }

    def _check_sharing(self, scorer: Scorer, body: bytes, alone: Response) -> str:
        """Whether requests may share a call of run(): where it is asked for it must be so, else it is offered."""
        wanted = self.settings.max_batch_size > 0
        if not wanted and (not scorer.script.batchable or alone.timings["run"] > OFFER_WITHIN):
            return ""
        reason = "" if scorer.script.is_async else row_independence.batching_refusal(scorer, body, alone)
        if wanted and scorer.script.is_async:
            reason = "run() is async: its requests run side by side already"
        if wanted and reason:
            raise ContractError(f"max_batch_size cannot be used: {reason}")
        if wanted or reason or scorer.script.is_async:
            return ""
        return (
            "the result of a row does not depend on others: with max_batch_size= waiting requests share a call of run()"
        )

    def obey(self, message: dict[str, Any], fds: list[int]) -> None:
        """Carries an order of the supervisor out, on the loop."""
        self._loop.call_soon_threadsafe(self._order, message, fds)

    def _order(self, message: dict[str, Any], fds: list[int]) -> None:
        op = message["op"]
        if op == "adopt":
            for fd in fds:
                self._transport.adopt(socket.socket(fileno=fd), message.get("private", False))
        elif op == "accept":
            self._transport.accept()
            self._answer(message)
        elif op == "pause":
            self._transport.pause()
            self._answer(message)
        elif op == "keys":
            self.app.auth.set_keys(message["keys"])
            self._answer(message)
        elif op in ("drain", "stop"):
            self._task = self._loop.create_task(self._go(message, closing=op == "stop"))

    async def _go(self, message: dict[str, Any], closing: bool) -> None:
        """No new requests; what is here is passed on or answered; then the process ends."""
        await self._transport.leave(closing)
        self._answer(message)
        if self._going:
            return
        self._going = True
        try:
            await asyncio.wait_for(self._transport.empty.wait(), message["timeout"])
        except TimeoutError:
            pass
        if not closing:
            await asyncio.sleep(LAST_WAIT)
        self.finished.set()
        self.runner.stop()
        # The script's thread may never come back.
        self._loop.call_later(1.0, os._exit, 0)

    def _employ(self, scorer: Scorer) -> None:
        """Gives the script the runner that suits its kind."""
        runner: ScriptThread
        if scorer.script.is_async:
            runner = AsyncScriptThread(_new_loop)
            runner.score, runner.failed = scorer.score_async, scorer.failure_response
        else:
            runner = ScriptThread(self.settings.max_concurrent)
            if self.settings.max_batch_size and scorer.script.batchable:
                runner.work = Batcher(scorer, runner, self.settings.max_batch_size).work
                runner.most = self.settings.max_batch_size
            else:
                runner.work = lambda jobs: _one_by_one(scorer, runner, jobs)
        runner.loop = self._loop
        self.runner = runner
        self.app.queue.use(runner)

    def _score_sample(self, scorer: Scorer, body: bytes) -> Response:
        request = Request(headers={"content-type": "application/json"}, body=body, id="sample")
        if isinstance(self.runner, AsyncScriptThread):
            response: Response = self.runner.run_until_complete(scorer.score_async(request))
            return response
        return scorer.score(request)

    def _run_loop(self, early: bool, started: threading.Event) -> None:
        asyncio.set_event_loop(self._loop)
        self._transport = Acceptor(self.app, self._listener, self._pass_on)
        self._transport.loop = self._loop
        if early:
            self._transport.accept()
        self._loop.call_soon(started.set)
        self._loop.run_forever()

    def _pass_on(self, fd: int) -> None:
        try:
            self.channel.send({"event": "handover"}, [fd])
        except OSError:
            pass  # the supervisor is gone, and so are we

    def _stage(self, name: str) -> None:
        self.app.set_phase(name)
        self._tell("stage", stage=self.stage_name())

    def _tell(self, event: str, **more: Any) -> None:
        try:
            self.channel.send({"event": event, **more})
        except OSError:
            pass

    def _answer(self, message: dict[str, Any]) -> None:
        if "id" in message:
            self._tell("answer", id=message["id"])


def _one_by_one(scorer: Scorer, runner: ScriptThread, jobs: list[Job]) -> None:
    for job in jobs:

        def call(job: Job = job) -> None:
            token = writer.request_id.set(job.request.id)
            try:
                job.response = scorer.score(job.request)
            finally:
                writer.request_id.reset(token)

        runner.attempt([job], call)
        runner.done([job])


def settle_memory() -> None:
    """What is loaded by now stays: the collector need not look at it again, nor at every few hundred new objects.

    A body of JSON makes objects by the ten thousand, none of them a cycle: with Python's own thresholds the tenth
    of a second that a collection of everything takes falls on some request.
    """
    gc.collect()
    gc.freeze()
    # The loop waits at most so long for the script's thread to let go of the global lock: with Python's 5 ms answers
    # wait for each other, with less the threads change places too often.
    sys.setswitchinterval(0.001)
    if gc.get_threshold() == _DEFAULT_THRESHOLD:  # a script that chose its own keeps it
        gc.set_threshold(50_000, 20, 50)


_DEFAULT_THRESHOLD = gc.get_threshold()


def sample_body(script: Script) -> bytes | None:
    """The sample as a request's body; None when a required parameter has none."""
    sample = script.sample
    return None if sample is None else orjson.dumps(sample, option=orjson.OPT_SERIALIZE_NUMPY)


def failed_sample(response: Response) -> dict[str, Any]:
    """The failure of a sample that could not be scored."""
    answer = orjson.loads(response.body) if response.body[:1] == b"{" else response.body.decode("utf-8", "replace")
    if response.error is not None:
        return {**from_exception(response.error, "probe"), "response": answer}
    message = answer.get("message", "") if isinstance(answer, dict) else answer
    return failure(
        "probe-failed", "probe", f"the sample was answered with {response.status}: {message}", response=answer
    )


def describes(script: Script, settings: Settings) -> bool:
    """Whether the API description can be made; a third party's type may fail to."""
    try:
        orjson.dumps(describe_service(script, settings, "3.1"))
    except Exception as error:
        writer.log(f"/swagger.json cannot be made: {type(error).__name__}: {error}", level="warning")
        return False
    return True


def _new_loop() -> asyncio.AbstractEventLoop:
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    return loop
