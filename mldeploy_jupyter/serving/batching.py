"""Requests that wait for `run()` share its next call: one call on all their rows, then each its own part.

"Greedy": whoever is queued when `run()` becomes free is taken, nobody is waited for, so a lone request is no
later than without. Only what is alike may share: arrays, frames or lists of the same kind (`rows.py`; whether
the script's one parameter is such, `Script.batchable` says). A call that fails, or whose result has no part for
each request, is made again one request at a time: a bad request fails alone.
"""

from __future__ import annotations

from time import perf_counter
from typing import Any

from . import output
from .messages import DeadlineExceeded, Refused
from .rows import join, row_count, split
from .runner import Job, Runner
from .scoring import Scorer


class Batcher:
    """Answers jobs together. `most_rows` is how many rows one call of `run()` gets at most."""

    def __init__(self, scorer: Scorer, runner: Runner, most_rows: int) -> None:
        self._scorer = scorer
        self._runner = runner
        self._most_rows = most_rows
        self._sure = False  # a result that had only one reading was split; see `rows.split`

    def work(self, jobs: list[Job]) -> None:
        """Answers every one of them."""
        for group in self._groups(jobs):
            gone = [call.job for call in group.calls if call.job.abandoned]
            if gone:
                self._runner.done(gone)
                group.calls = [call for call in group.calls if call.job not in gone]
            members = [call.job for call in group.calls]
            again = len(members) > 1
            if again:
                together = self._runner.attempt(members, lambda group=group: self._together(group))  # type: ignore[misc]
                if together:  # also when it is too late for all of them
                    self._runner.done(members)
                    continue
            for call in group.calls:
                if not call.job.abandoned:
                    self._runner.attempt([call.job], lambda call=call, again=again: self._alone(call, again))  # type: ignore[misc]
                self._runner.done([call.job])

    def _groups(self, jobs: list[Job]) -> list[_Group]:
        groups: list[_Group] = []
        open_groups: dict[Any, _Group] = {}  # by kind: the last that may take more
        for job in jobs:
            began = perf_counter()
            try:
                arguments = self._scorer.arguments(job.request)
            except Refused as refused:
                refused.response.timings = {"queue": 0.0, "parse": (perf_counter() - began) * 1000}
                job.started, job.response = began, refused.response
                self._runner.done([job])
                continue
            parse = (perf_counter() - began) * 1000
            value = next(iter(arguments.values()), None)
            rows = row_count(value) or 0
            call = _Call(job, arguments, parse, rows)
            kind = _kind(value) if rows and len(arguments) == 1 else None
            group = open_groups.get(kind) if kind is not None else None
            if group is not None and group.rows + rows <= self._most_rows:
                group.calls.append(call)
                group.rows += rows
                continue
            group = _Group([call], rows)
            groups.append(group)
            if kind is not None:
                open_groups[kind] = group
        return groups

    def _run(self, calls: list[_Call], arguments: dict[str, Any]) -> Any:
        tracer = self._scorer.tracer
        traces = [call.job.request.trace for call in calls if call.job.request.trace is not None]
        if tracer is None or not traces:
            return self._scorer.script.run(**arguments)
        with tracer.running(*traces):
            return self._scorer.script.run(**arguments)

    def _alone(self, call: _Call, again: bool) -> None:
        token = output.request_id.set(call.job.request.id)
        try:
            if again:  # a call that failed may have changed the rows it got, and lists share them
                response = self._scorer.score(call.job.request)
            else:
                response = self._scorer.call(call.job.request, call.arguments, call.parse)
        finally:
            output.request_id.reset(token)
        call.job.response, call.job.batch = response, 1

    def _together(self, group: _Group) -> bool:
        """One call for all; False when they must be called one by one."""
        calls = group.calls
        name = next(iter(calls[0].arguments))
        try:
            joined = join([call.arguments[name] for call in calls])
            if joined is None:
                return False
            began = perf_counter()
            token = output.request_id.set(tuple(call.job.request.id for call in calls))
            try:
                result = self._run(calls, {name: joined})
            finally:
                output.request_id.reset(token)
            ended = perf_counter()
            counts = [call.rows for call in calls]
            parts = split(result, counts)
            self._sure = self._sure or parts is not None
            if parts is None and self._sure:
                parts = split(result, counts, sure=True)
        except DeadlineExceeded:
            raise
        except BaseException:
            return False
        if parts is None:
            return False
        before, run, respond = ended, (ended - began) * 1000, self._scorer.respond
        for call, part in zip(calls, parts, strict=True):
            job = call.job
            job.response, job.batch = respond(part, job.request), len(calls)
            after = perf_counter()
            job.response.timings = {
                "queue": 0.0, "parse": call.parse, "run": run, "serialise": (after - before) * 1000,
            }  # fmt: skip
            before = after
        return True


class _Call:
    __slots__ = ("arguments", "job", "parse", "rows")

    def __init__(self, job: Job, arguments: dict[str, Any], parse: float, rows: int) -> None:
        self.job = job
        self.arguments = arguments
        self.parse = parse  # milliseconds
        self.rows = rows  # 0: it can share with nobody


class _Group:
    """Calls that may be one."""

    __slots__ = ("calls", "rows")

    def __init__(self, calls: list[_Call], rows: int) -> None:
        self.calls = calls
        self.rows = rows


def _kind(value: Any) -> Any:
    """What two values of rows must have in common to stand under each other without changing either's type."""
    dtype = getattr(value, "dtype", None)
    if dtype is not None and hasattr(value, "shape"):
        return (type(value), dtype, value.shape[1:])
    dtypes = getattr(value, "dtypes", None)
    return (type(value), None if dtypes is None else tuple(dtypes))
