"""Requests that wait for `run()` share its next call: one call on all their rows, then each its own part.

"Greedy": whoever is queued when `run()` becomes free is taken, nobody is waited for, so a lone request is no
later than without. Only what is alike may share: arrays, frames or lists of the same kind (`rows.py`; whether
the script's one parameter is such, `Script.batchable` says). A call that fails, or whose result has no part for
each request, is made again one request at a time: a bad request fails alone.

What can be done for all requests at once is: where the type allows it, their rows are put together as JSON data and
converted in one go, and the usual results are written and answered in one go.
"""

from __future__ import annotations

from itertools import accumulate, chain, pairwise
from time import perf_counter
from typing import Any

from ..azureml.rawhttp import is_json_type
from ..log import writer
from ..scoring.json_body import parse_json
from ..scoring.json_encoder import encode_rows
from ..scoring.messages import DeadlineExceeded, Refused
from ..scoring.rows import is_ambiguous, join, row_count, split
from ..scoring.scorer import Scorer
from .jobs import BatchResult, Job
from .script_thread import ScriptThread


class Batcher:
    """Answers jobs together. `most_rows` is how many rows one call of `run()` gets at most."""

    def __init__(self, scorer: Scorer, runner: ScriptThread, most_rows: int) -> None:
        self._scorer = scorer
        self._runner = runner
        self._most_rows = most_rows
        self._layout_known = False  # a result that had only one reading was split; see `rows.split`
        parameter = scorer.script.parameters[0]
        self._name = parameter.name
        self._kind: Any = parameter.declared.param_type if parameter.declared else None
        self._stacks = self._kind is not None and self._kind.concatenates()

    def work(self, jobs: list[Job]) -> None:
        """Answers every one of them."""
        if len(jobs) == 1:
            self._one(jobs[0])
            return
        for group in self._stacked(jobs) or self._groups(jobs):
            if len(group.jobs) > 1:
                together = self._runner.attempt(group.jobs, lambda group=group: self._together(group))  # type: ignore[misc]
                if type(together) is BatchResult:
                    self._runner.done_together(together)
                    continue
                if together:  # answered one by one, or too late for all of them
                    self._runner.done(group.jobs)
                    continue
                for job in group.jobs:  # a call that failed may have changed the rows it got: they are read again
                    self._one(job)
            else:
                self._one(group.jobs[0], group)

    def _one(self, job: Job, group: _Group | None = None) -> None:
        """Answers it alone. `group` has its rows, if they were read already."""

        def call() -> None:
            token = writer.request_id.set(job.request.id)
            try:
                if group is None:
                    job.response = self._scorer.score(job.request)
                else:
                    arguments = {} if group.absent else {self._name: group.value}
                    job.response = self._scorer.call_run(job.request, arguments, group.parse[0])
                job.batch = 1
            finally:
                writer.request_id.reset(token)

        if not job.abandoned:
            self._runner.attempt([job], call)
        self._runner.done([job])

    def _stacked(self, jobs: list[Job]) -> list[_Group] | None:
        """Groups whose rows are converted all at once. None where one request is not of the usual kind."""
        if not self._stacks:
            return None
        began = perf_counter()
        headers, numbers, values = None, True, []
        try:
            for job in jobs:
                request = job.request
                if request.headers is not headers:
                    headers = request.headers
                    if type(headers) is not dict or "content-encoding" in headers:
                        return None
                    if not is_json_type(headers.get("content-type", "")):
                        return None
                data, plain = parse_json(request.body)
                value = data.get(self._name) if type(data) is dict else None
                if type(value) is not list or not value:
                    return None
                values.append(value)
                numbers = numbers and plain
            groups = []
            for begin, end in self._cuts(list(map(len, values))):
                rows = values[begin] if end - begin == 1 else list(chain.from_iterable(values[begin:end]))
                joined = self._kind.parse_bulk(rows, numbers)
                if joined is None:
                    return None
                groups.append(_Group(jobs[begin:end], list(map(len, values[begin:end])), joined))
        except Exception:  # it is found again, and answered
            return None
        parse = (perf_counter() - began) * 1000 / len(jobs)
        for group in groups:
            group.parse = [parse]
        return groups

    def _cuts(self, counts: list[int]) -> list[tuple[int, int]]:
        """Where to cut, so that none has more than `most_rows`, but for single ones that have more by themselves."""
        cuts, begin, rows = [], 0, 0
        for place, count in enumerate(counts):
            if rows + count > self._most_rows and place > begin:
                cuts.append((begin, place))
                begin, rows = place, 0
            rows += count
        return [*cuts, (begin, len(counts))]

    def _groups(self, jobs: list[Job]) -> list[_Group]:
        """Groups of what is alike. What cannot be read is answered at once."""
        groups: list[_Group] = []
        open_groups: dict[Any, _Group] = {}  # by kind: the last that may take more
        for job in jobs:
            began = perf_counter()
            try:
                arguments = self._scorer.parse_arguments(job.request, began)
            except Refused as refused:
                job.started, job.response = began, refused.response
                self._runner.done([job])
                continue
            parse = (perf_counter() - began) * 1000
            value = arguments.get(self._name)
            rows = row_count(value) or 0  # 0: it can share with nobody
            kind = _kind(value) if rows else None
            group = open_groups.get(kind) if rows else None
            if group is None or group.rows + rows > self._most_rows:
                group = _Group([], [], None)
                groups.append(group)
                if rows:
                    open_groups[kind] = group
            group.jobs.append(job)
            group.counts.append(rows)
            group.values.append(value)
            group.parse.append(parse)
            group.absent = not arguments
        return groups

    def _together(self, group: _Group) -> BatchResult | bool:
        """One call for all; False when they must be called one by one, True when each has its response."""
        jobs, scorer = group.jobs, self._scorer
        try:
            joined = join(group.values) if group.joined is None else group.joined
            if joined is None:
                return False
            began = perf_counter()
            token = writer.request_id.set(tuple([job.request.id for job in jobs]))
            try:
                result = self._run(jobs, joined)
            finally:
                writer.request_id.reset(token)
            ended = perf_counter()
            for job in jobs:
                job.batch = len(jobs)
            written = None
            if scorer.script.output is None and scorer.tracer is None:
                written = self._written(result, group.counts)
            if written is not None:
                for job, body in zip(jobs, written, strict=True):
                    job.answer = body
                parse = sum(group.parse) / len(group.parse)
                serialise = (perf_counter() - ended) * 1000 / len(jobs)
                return BatchResult(jobs, (parse, (ended - began) * 1000, serialise))
            parts = self._parts(result, group.counts)
        except DeadlineExceeded:
            raise
        except BaseException:
            return False
        if parts is None:
            return False
        before, run = ended, (ended - began) * 1000
        for place, (job, part) in enumerate(zip(jobs, parts, strict=True)):
            job.response = scorer.build_response(part, job.request)
            after = perf_counter()
            job.response.timings = {
                "queue": 0.0, "parse": group.parse[place if len(group.parse) > 1 else 0], "run": run,
                "serialise": (after - before) * 1000,
            }  # fmt: skip
            before = after
        return True

    def _run(self, jobs: list[Job], joined: Any) -> Any:
        tracer = self._scorer.tracer
        traces = [job.request.span for job in jobs if job.request.span is not None] if tracer is not None else []
        if tracer is None or not traces:
            return self._scorer.script.run(**{self._name: joined})
        with tracer.activate(*traces):
            return self._scorer.script.run(**{self._name: joined})

    def _parts(self, result: Any, counts: list[int]) -> list[Any] | None:
        parts = split(result, counts)
        self._layout_known = self._layout_known or parts is not None
        if parts is None and self._layout_known:
            parts = split(result, counts, layout_known=True)
        return parts

    def _written(self, result: Any, counts: list[int]) -> list[bytes] | None:
        """The bodies of a result that is plain rows; None: what `split` and `build_response` do to it."""
        total = sum(counts)
        if type(result) is not list and not getattr(result, "ndim", 0):
            return None
        if len(result) != total or not (self._layout_known or not is_ambiguous(result, total)):
            return None
        written = encode_rows(result, pairwise(accumulate(counts, initial=0)))
        self._layout_known = self._layout_known or written is not None
        return written


class _Group:
    """Jobs whose rows may share a call: `counts` rows each, either `joined` already or one of `values` each."""

    __slots__ = ("absent", "counts", "jobs", "joined", "parse", "values")

    def __init__(self, jobs: list[Job], counts: list[int], joined: Any) -> None:
        self.jobs = jobs
        self.counts = counts
        self.joined = joined
        self.values: list[Any] = []
        self.parse: list[float] = []  # milliseconds of each, or one for all
        self.absent = False  # the body does not have it, and run() has a default

    @property
    def value(self) -> Any:
        """The rows, where there is one job."""
        return self.values[0] if self.joined is None else self.joined

    @property
    def rows(self) -> int:
        return sum(self.counts)


def _kind(value: Any) -> Any:
    """What two values of rows must have in common to stand under each other without changing either's type."""
    dtype = getattr(value, "dtype", None)
    if dtype is not None and hasattr(value, "shape"):
        return (type(value), dtype, value.shape[1:])
    dtypes = getattr(value, "dtypes", None)
    return (type(value), None if dtypes is None else tuple(dtypes))
