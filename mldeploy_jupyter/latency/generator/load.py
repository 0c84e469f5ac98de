"""Carries a plan out: warm-up, then one turn of a service after the other, until the end or a limit."""

from __future__ import annotations

import asyncio
import gc
import math
import os
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from itertools import groupby
from statistics import median
from time import monotonic
from typing import Any

from mldeploy_jupyter.latency.arrivals import plan_arrivals, plan_blocks, plan_more_blocks
from mldeploy_jupyter.latency.generator.alarm import Alarm
from mldeploy_jupyter.latency.generator.connection import Answer, Request
from mldeploy_jupyter.latency.generator.done_blocks import DoneBlocks
from mldeploy_jupyter.latency.generator.housekeeping import Housekeeping
from mldeploy_jupyter.latency.generator.lag import PROBE_SECONDS, STANDSTILL_SECONDS, Gap, Watch, stolen_seconds
from mldeploy_jupyter.latency.generator.measured_service import MeasuredService
from mldeploy_jupyter.latency.generator.pool import Pool
from mldeploy_jupyter.latency.generator.recorder import Recorder
from mldeploy_jupyter.latency.generator.turns import ClosedTurn, OpenTurn, Turn
from mldeploy_jupyter.latency.payloads import Payload
from mldeploy_jupyter.latency.plan import LatencyPlan, choose_duration, choose_rate
from mldeploy_jupyter.latency.recording import Outcome, Phase

PROGRESS_SECONDS = 0.25

LEAD_SECONDS = 0.005  # between the decision to begin a turn and its first request

WARMUP_TIMEOUTS = 3  # in a row, after which the rest of the warm-up is left out

RAMP_SHARE = 0.5  # of the requests of a step that must be answered well for the ramp to continue


class Load:
    """One run. `tell` sends a message to the parent; `flush` sends what it could not take at once."""

    def __init__(
        self,
        plan: LatencyPlan,
        payloads: list[Payload],
        recorder: Recorder,
        tell: Callable[[dict[str, Any]], None],
        flush: Callable[[], None],
        *,
        origin: float,
        watch: Watch | None = None,
    ) -> None:
        self._plan, self._recorder, self._tell, self._flush = plan, recorder, tell, flush
        self._origin = origin
        self._loop = asyncio.get_running_loop()
        self._draw = random.Random(plan.seed)
        limit = (
            max(plan.connections, *(int(step or 0) for step in plan.steps))
            if plan.mode == "closed"
            else plan.connections
        )
        self._services = [
            MeasuredService(
                Pool(
                    index,
                    payloads,
                    limit,
                    plan.timeout,
                    ask_key=self._ask_key,
                    cannot_connect=lambda index, why: self._services[index].note_once(
                        "connection", f"could not be reached: {why}"
                    ),
                    ended=self._ended,
                ),
                service.name,
                service.cold,
                partial(self._note, index),
            )
            for index, service in enumerate(plan.services)
        ]
        for service, planned in zip(self._services, plan.services, strict=True):
            service.pool.locate(planned.uri)
        self._pending: dict[Request, Pool] = {}  # in the order in which they began
        self._issued = 0
        self._drained: asyncio.Future[None] | None = None
        self._end: asyncio.Future[str] = self._loop.create_future()
        self._limit_reached = False
        self._time_limit: asyncio.TimerHandle | None = None
        self.rate, self.rate_reason = plan.rate, ""

        self._turn: Turn | None = None
        self._current = -1  # index of the service whose turn it is
        self._block = -1
        self._blocks = plan_blocks(plan, self._draw)
        self._more_seconds = 0.0  # under load, in which that is measured again
        self._arrivals: dict[tuple[int, int], tuple[Iterator[float], float]] = {}

        self.watch = watch or Watch()
        self._done = DoneBlocks(self.watch, len(self._services), origin)
        self._stolen_before = stolen_seconds()
        self._housekeeping = Housekeeping(self._tick)
        self._looked = self._read_until = monotonic()  # the last look, and the one before: what had arrived is read
        self._ticked = monotonic()
        self._next_progress = 0.0
        self._parent = os.getppid()
        self._alarm = Alarm(self._loop, self._look, exact=False)

    # -- the run --------------------------------------------------------------------------------------

    async def run(self) -> str:
        """Returns why the run ended: finished, cancelled, limit, slept, stalled or died."""
        self._alarm.set(monotonic())
        self._set_time_limit()
        work = self._loop.create_task(self._work())
        try:
            both: set[asyncio.Future[Any]] = {work, self._end}
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            if self._end.done():
                reason = self._end.result()
            else:
                work.result()
                everyone_died = all(service.dead for service in self._services)
                reason = "died" if everyone_died else "limit" if self._limit_reached else "finished"
        finally:
            work.cancel()
            if self._time_limit is not None:
                self._time_limit.cancel()
            self._alarm.close()
        now = self._ticked if reason in ("slept", "stalled") else monotonic()
        if self._turn is not None:
            self._close_turn(self._turn, now)
        self._abandon(now)
        return reason if self._write_samples() else "limit"

    def end(self, reason: str) -> None:
        """Ends the run now. What is under way is recorded as unfinished."""
        if not self._end.done():
            self._end.set_result(reason)

    def fail(self, error: BaseException) -> None:
        """Ends the run with a defect, which `run` raises."""
        if not self._end.done():
            self._end.set_exception(error)

    def report(self, reason: str) -> dict[str, Any]:
        """The last message."""
        lag = self.watch.lag
        return {
            "type": "end",
            "reason": reason,
            "elapsed": round(monotonic() - self._origin, 3),
            "rate": self.rate,
            "rate_reason": self.rate_reason,
            "lag": {
                "p50": _milliseconds(lag.quantile(0.5)),
                "p99": _milliseconds(lag.quantile(0.99)),
                "max": _milliseconds(lag.greatest),
                "count": lag.count,
                "stolen": round(self._stolen(), 4),
            },
            "blocks": self._done.listed,
            "left_out": self._done.find_late(),
            "services": [
                {**self._count(index), "seconds": round(self._recorder.tallies[index].seconds, 3), "died": service.dead}
                for index, service in enumerate(self._services)
            ],
        }

    def _stolen(self) -> float:
        """The share of the processors' time, from 0 to 1, that the host of a virtual machine took away in this run."""
        seconds = (os.cpu_count() or 1) * max(1e-3, monotonic() - self._origin)
        return min(1.0, (stolen_seconds() - self._stolen_before) / seconds)

    def _count(self, index: int) -> dict[str, Any]:
        return {**self._recorder.tallies[index].to_dict(), "sent": self._services[index].pool.sent}

    async def _work(self) -> None:
        for index, service in enumerate(self._services):
            await self._warm_up(index)
            service.pool.sent = 0
        if self._plan.mode == "open" and self._plan.ramp is None and self._plan.rate is None:
            self._choose_rate()
        turns = [list(blocks) for _, blocks in groupby(self._blocks, lambda block: (block.service, block.step))]
        for blocks in turns:
            service = self._services[blocks[0].service]
            if self._limit_reached or not any(not each.dead for each in self._services):
                return
            if not service.dead and not service.finished:
                await self._take_turn(service, blocks)
        await self._repeat_late_rounds()

    async def _repeat_late_rounds(self) -> None:
        """Measures again, once, what is left out because this process was late, so that as much is known as planned."""
        if any(service.dead for service in self._services):
            return
        left_out, length = len(self._done.find_late()), self._blocks[0].seconds
        if not left_out or self._issued * (1 + left_out / len(self._blocks)) >= self._plan.max_requests:
            return
        self._done.begin_repeating()
        self._more_seconds = left_out * length
        for block in plan_more_blocks(self._blocks, left_out, self._plan.duration, self._draw):
            await self._take_turn(self._services[block.service], [block])

    async def _warm_up(self, index: int) -> None:
        """One request after the other. The first is the cold start of a service that has answered none."""
        service, timeouts = self._services[index], 0
        self._current = index
        await service.pool.prepare()
        for number in range(max(self._plan.warmup, int(service.cold))):
            if self._at_limit() or service.dead:
                return
            refusals = service.refusals
            phase = Phase.COLD_START if number == 0 and service.cold else Phase.WARM_UP
            now = monotonic()
            request = Request(now, now, index, phase, 0, 0)
            self._start(service, request)
            await self._drain()
            timeouts = timeouts + 1 if monotonic() - now >= self._plan.timeout else 0
            if timeouts == WARMUP_TIMEOUTS:
                self._note(
                    index, "warm-up", f"does not answer within {self._plan.timeout:g} s; the warm-up was cut short"
                )
                return
            if service.refusals > refusals:
                await asyncio.sleep(0.05)

    def _choose_rate(self) -> None:
        measured = [(service.name, median(service.warm_seconds)) for service in self._services if service.warm_seconds]
        self.rate, self.rate_reason = choose_rate(measured)
        self._note(-1, "rate", f"{self.rate:g} requests a second: {self.rate_reason}")
        if self._plan.until_p99:
            self._shorten(choose_duration(self.rate if measured else None))

    def _shorten(self, duration: float) -> None:
        """Plans the turns anew, for so many seconds on each service."""
        self._plan = replace(self._plan, duration=duration, until_p99=False)
        self._blocks = plan_blocks(self._plan, self._draw)
        self._set_time_limit()
        self._tell({"type": "duration", "seconds": duration})

    async def _take_turn(self, service: MeasuredService, blocks: list[Any]) -> None:
        first = blocks[0]
        await service.pool.prepare()
        gc.collect(1)  # what was made since the last turn
        self._current, self._block = first.service, first.number
        service.answered = service.started = 0
        begin = monotonic() + LEAD_SECONDS
        turn: Turn
        if self._plan.mode == "closed":
            turn = ClosedTurn(self, blocks, begin, int(self._plan.steps[first.step] or 1))
        else:
            key = (first.service, first.step)
            if key not in self._arrivals:
                rate = self._plan.steps[first.step] or self.rate or 1.0
                due = plan_arrivals(rate, self._plan.arrivals, self._draw)
                self._arrivals[key] = (due, next(due))
            turn = OpenTurn(self, blocks, begin, *self._arrivals[key])
        self._turn = turn
        turn.start()
        await turn.over
        stopped = monotonic()
        if isinstance(turn, OpenTurn):
            self._arrivals[key] = (self._arrivals[key][0], turn.left)
        await self._drain()
        self._close_turn(turn, stopped)
        if self._plan.ramp is not None and service.answered < RAMP_SHARE * service.started:
            service.finished = True
            step = self._plan.steps[first.step] or 0
            self._note(
                first.service, "ramp", f"answers fewer than half of the requests at {step:g}; its ramp ends there"
            )

    def _close_turn(self, turn: Turn, stopped: float) -> None:
        self._turn = None
        turn.finish()
        self._recorder.tallies[turn.blocks[0].service].seconds += self._done.add(turn, stopped)

    # -- requests -------------------------------------------------------------------------------------

    def start_request(self, planned: float, block: int, step: int) -> bool:
        service = self._services[self._current]
        if service.dead or self._end.done() or self._at_limit():
            return False
        self._block = block
        service.started += 1
        tally = self._recorder.tallies[self._current]
        tally.planned += 1
        self._start(service, Request(planned, monotonic(), self._current, Phase.MEASURED, block, step))
        return True

    def count_lag(self, seconds: float, block: int) -> bool:
        if self._end.done() or (seconds > STANDSTILL_SECONDS and self._has_stood_still()):
            return False
        self.watch.add(seconds, block)
        return True

    def count_sent(self) -> None:
        self._housekeeping.sent(self._next_due)

    @property
    def _next_due(self) -> float:
        """When the next request is due; infinity where no time is planned."""
        return math.inf if self._turn is None else self._turn.next_due

    def _start(self, service: MeasuredService, request: Request) -> None:
        self._issued += 1
        self._pending[request] = service.pool
        service.pool.send(request)

    def _at_limit(self) -> bool:
        if self._issued >= self._plan.max_requests and not self._limit_reached:
            self._limit_reached = True
            self._note(-1, "limit", f"ended after {self._issued:,} requests, its max_requests")
        return self._limit_reached

    def _ended(self, pool: Pool, request: Request, answer: Answer, done: float) -> None:
        """Called by the pools, once for each request."""
        if self._pending.pop(request, None) is None:
            return
        self._recorder.add(request, answer, done)
        if answer.outcome is not Outcome.OK and request.phase == Phase.MEASURED:
            self._done.failed.add(request.block)
        self._services[pool.index].take_answer(request, answer, done)
        if self._housekeeping.is_due and not self._pending:
            self._housekeeping.idle(self._next_due)
        if self._turn is not None:
            self._turn.ended(answer.outcome)
        if not self._pending and self._drained is not None and not self._drained.done():
            self._drained.set_result(None)

    async def _drain(self) -> None:
        """Waits until nothing is under way."""
        if self._pending:
            self._drained = self._loop.create_future()
            await self._drained
            self._drained = None

    def _abandon(self, now: float) -> None:
        for request in self._pending:
            self._recorder.add(request, Answer(0, Outcome.UNFINISHED), max(now, request.planned))
        self._pending.clear()
        for service in self._services:
            service.pool.close()

    # -- keys -----------------------------------------------------------------------------------------

    def _ask_key(self, index: int) -> None:
        self._tell({"type": "key", "service": index})

    def answer_key(self, message: dict[str, Any]) -> None:
        """The parent's answer to a question for a key."""
        self._services[message["service"]].take_key(message)

    # -- time -----------------------------------------------------------------------------------------

    def _look(self) -> None:
        if self._has_stood_still():
            return
        self._read_until, self._looked = self._looked, monotonic()
        self._housekeeping.looked(self._next_due)
        self._alarm.set(min(self.watch.next_look, monotonic() + PROBE_SECONDS))

    def _has_stood_still(self) -> bool:
        """Looks at the clocks; where they have a gap, the run ends before it."""
        turn = self._turn
        gap = self.watch.look(None if turn is None else lambda moment: turn.find_block(moment).number)
        if gap is not None:
            self._cut(gap)
        return gap is not None

    def _tick(self) -> None:
        now = monotonic()
        while self._pending:
            request = next(iter(self._pending))
            deadline = request.begun + self._plan.timeout
            if deadline > self._read_until:  # an answer that came in time may not have been read yet
                break
            self._pending[request].expire(request, deadline)
        if not self._write_samples():
            self.end("limit")
        if now >= self._next_progress:
            self._next_progress = now + PROGRESS_SECONDS
            self._tell(self._progress(now))
        else:
            self._flush()
        if os.getppid() != self._parent:
            self.end("cancelled")
        self._ticked = now

    def _write_samples(self) -> bool:
        try:
            self._recorder.flush()
        except OSError as error:
            self._recorder.discard()
            self._note(-1, "disk", f"the samples cannot be written: {error.strerror}")
            return False
        return True

    def _progress(self, now: float) -> dict[str, Any]:
        return {
            "type": "progress",
            "elapsed": round(now - self._origin, 3),
            "of": round(self._plan.seconds + self._more_seconds, 3),
            "service": self._current,
            "block": self._block,
            "blocks": len(self._blocks),
            "services": [self._count(index) for index in range(len(self._services))],
            "lag_p99": _milliseconds(self.watch.lag.quantile(0.99)),
        }

    def _cut(self, gap: Gap) -> None:
        """Ends the run before this process did not run. Samples since the last tick may be from after that."""
        self._recorder.discard()
        self._abandon(self._ticked)
        reason, who = ("slept", "machine slept") if gap.machine_slept else ("stalled", "load's process was stopped")
        self._note(-1, reason, f"the {who} for {gap.seconds:.1f} s: the run ends there")
        self.end(reason)

    def _set_time_limit(self) -> None:
        if self._time_limit is not None:
            self._time_limit.cancel()
        left = self._origin + self._plan.max_seconds - monotonic()
        self._time_limit = self._loop.call_later(max(0.0, left), self._stop_at_time_limit)

    def _stop_at_time_limit(self) -> None:
        self._note(-1, "limit", f"ended after {self._plan.max_seconds:.0f} s, twice the time that it should have taken")
        self.end("limit")

    # -- notes ----------------------------------------------------------------------------------------

    def _note(self, index: int, kind: str, text: str) -> None:
        time = round(monotonic() - self._origin, 3)
        self._tell({"type": "note", "time": time, "service": index, "kind": kind, "text": text})


def _milliseconds(seconds: float) -> float:
    return round(seconds * 1000, 3)
