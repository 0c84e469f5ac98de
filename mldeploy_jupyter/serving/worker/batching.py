"""Waiting requests share a call of `run()`: their rows are joined, and each gets its part of the result.

Batching is greedy: when `run()` becomes free, all queued requests are taken, and a lone request never waits for
others. Only rows of the same type share a call: arrays, data frames or lists (`scoring.rows`; `Script.batchable` says
whether the script's one parameter qualifies). A call that fails, or whose result cannot be split, is repeated one
request at a time: a bad request fails alone.

The usual case is handled for all requests at once: rows of plain JSON lists are joined before they are converted, and
plain results are encoded and answered together.
"""

from __future__ import annotations

from itertools import accumulate, chain, pairwise
from time import perf_counter
from typing import Any

from ..azureml.request_headers import is_json_type
from ..json_encoder import encode_rows
from ..log import writer
from ..scoring.json_body import parse_json
from ..scoring.messages import DeadlineExceeded, Refused
from ..scoring.rows import is_ambiguous, join, row_count, split
from ..scoring.scorer import Scorer
from .jobs import BatchResult, Job
from .script_thread import ScriptThread


class Batcher:
    """Answers jobs in batches. One call of `run()` gets at most `max_rows` rows, unless a single request has more."""

    def __init__(self, scorer: Scorer, script_thread: ScriptThread, max_rows: int) -> None:
        self._scorer = scorer
        self._script_thread = script_thread
        self._max_rows = max_rows
        # Whether a result was split that had only one reading: then results of this run() are split by rows, even
        # those that have two. See `rows.split`.
        self._layout_known = False
        parameter = scorer.script.parameters[0]
        self._name = parameter.name
        self._type: Any = parameter.declared.param_type if parameter.declared else None
        self._joins_json = self._type is not None and self._type.concatenates()

    def process(self, jobs: list[Job]) -> None:
        """Answers every job."""
        if len(jobs) == 1:
            self._run_single(jobs[0])
            return
        for batch in self._convert_together(jobs) or self._convert_each(jobs):
            if len(batch.jobs) > 1:
                outcome = self._script_thread.attempt(batch.jobs, self._run_batch, batch)
                if type(outcome) is BatchResult:
                    self._script_thread.deliver_batch(outcome)
                    continue
                if outcome:  # each has its own response, or a deadline ended the call
                    self._script_thread.deliver(batch.jobs)
                    continue
                for job in batch.jobs:  # the failed call may have changed its rows: convert them again
                    self._run_single(job)
            else:
                self._run_single(batch.jobs[0], batch)

    def _run_single(self, job: Job, batch: _Batch | None = None) -> None:
        """Answers a job by a call of its own. `batch` has its rows, if they are converted already."""
        if not job.abandoned:
            self._script_thread.attempt([job], self._score, job, batch)
        self._script_thread.deliver([job])

    def _score(self, job: Job, batch: _Batch | None) -> None:
        token = writer.request_id.set(job.request.id)
        try:
            if batch is None:
                job.response = self._scorer.score(job.request)
            else:
                arguments = {} if batch.absent else {self._name: batch.value}
                job.response = self._scorer.call_run(job.request, arguments, batch.parse_ms[0])
            job.batch = 1
        finally:
            writer.request_id.reset(token)

    # -- requests to batches --------------------------------------------------------------------------

    def _convert_together(self, jobs: list[Job]) -> list[_Batch] | None:
        """Batches whose rows are joined as JSON data, then converted in one go. None if one request is unusual."""
        if not self._joins_json:
            return None
        began = perf_counter()
        headers, numbers, values = None, True, []
        try:
            for job in jobs:
                request = job.request
                if request.headers is not headers:  # cached heads share their headers
                    headers = request.headers
                    if type(headers) is not dict or "content-encoding" in headers:
                        return None
                    if not is_json_type(headers.get("content-type", "")):
                        return None
                data, plain = parse_json(request.body)
                value = data.get(self._name) if type(data) is dict else None
                if type(value) is not list or not value or len(data) > 1:
                    return None
                values.append(value)
                numbers = numbers and plain
            batches = []
            for begin, end in self._cuts(list(map(len, values))):
                rows = values[begin] if end - begin == 1 else list(chain.from_iterable(values[begin:end]))
                joined = self._type.parse_bulk(rows, numbers)
                if joined is None:
                    return None
                batches.append(_Batch(jobs[begin:end], list(map(len, values[begin:end])), joined))
        except Exception:  # `_convert_each` runs into it again, and answers
            return None
        parse_ms = (perf_counter() - began) * 1000 / len(jobs)
        for batch in batches:
            batch.parse_ms = [parse_ms]
        return batches

    def _cuts(self, counts: list[int]) -> list[tuple[int, int]]:
        """Where to cut requests of so many rows each into batches of at most `max_rows`."""
        cuts, begin, rows = [], 0, 0
        for index, count in enumerate(counts):
            if rows + count > self._max_rows and index > begin:
                cuts.append((begin, index))
                begin, rows = index, 0
            rows += count
        return [*cuts, (begin, len(counts))]

    def _convert_each(self, jobs: list[Job]) -> list[_Batch]:
        """Batches of rows of the same type, converted request by request. Answers requests that are invalid."""
        batches: list[_Batch] = []
        open_batches: dict[Any, _Batch] = {}  # by type of row: the last, which may take more
        for job in jobs:
            began = perf_counter()
            try:
                arguments = self._scorer.parse_arguments(job.request, began)
            except Refused as refused:
                job.started, job.response = began, refused.response
                self._script_thread.deliver([job])
                continue
            parse_ms = (perf_counter() - began) * 1000
            value = arguments.get(self._name)
            rows = row_count(value) or 0  # 0: it cannot share a call
            row_type = _row_type(value) if rows else None
            batch = open_batches.get(row_type) if rows else None
            if batch is None or batch.rows + rows > self._max_rows:
                batch = _Batch([], [], None)
                batches.append(batch)
                if rows:
                    open_batches[row_type] = batch
            batch.jobs.append(job)
            batch.counts.append(rows)
            batch.values.append(value)
            batch.parse_ms.append(parse_ms)
            batch.absent = not arguments
        return batches

    # -- a batch to answers ---------------------------------------------------------------------------

    def _run_batch(self, batch: _Batch) -> BatchResult | bool:
        """Makes one call for the batch. True if each job has its response, False if they must be called singly."""
        jobs, scorer = batch.jobs, self._scorer
        try:
            joined = join(batch.values) if batch.joined is None else batch.joined
            if joined is None:
                return False
            began = perf_counter()
            token = writer.request_id.set(tuple([job.request.id for job in jobs]))
            try:
                result = self._call_run(jobs, joined)
            finally:
                writer.request_id.reset(token)
            ended = perf_counter()
            bodies = None
            if scorer.script.output is None and scorer.tracer is None:
                bodies = self._encode_together(result, batch.counts)
            if bodies is not None:
                parse_ms = sum(batch.parse_ms) / len(batch.parse_ms)
                serialise_ms = (perf_counter() - ended) * 1000 / len(jobs)
                return BatchResult(jobs, bodies, (parse_ms, (ended - began) * 1000, serialise_ms))
            parts = self._split(result, batch.counts)
        except DeadlineExceeded:
            raise
        except BaseException:
            return False
        if parts is None:
            return False
        before, run_ms = ended, (ended - began) * 1000
        for index, (job, part) in enumerate(zip(jobs, parts, strict=True)):
            job.batch = len(jobs)
            job.response = scorer.build_response(part, job.request)
            after = perf_counter()
            job.response.timings = {
                "queue": 0.0, "parse": batch.parse_ms[index if len(batch.parse_ms) > 1 else 0], "run": run_ms,
                "serialise": (after - before) * 1000,
            }  # fmt: skip
            before = after
        return True

    def _call_run(self, jobs: list[Job], joined: Any) -> Any:
        tracer = self._scorer.tracer
        spans = [job.request.span for job in jobs if job.request.span is not None] if tracer is not None else []
        if tracer is None or not spans:
            return self._scorer.script.run(**{self._name: joined})
        with tracer.activate(*spans):
            return self._scorer.script.run(**{self._name: joined})

    def _encode_together(self, result: Any, counts: list[int]) -> list[bytes] | None:
        """The bodies of a result of plain rows. None for other results, which are split and encoded one by one."""
        total = sum(counts)
        if type(result) is not list and not getattr(result, "ndim", 0):
            return None
        if len(result) != total or not (self._layout_known or not is_ambiguous(result, total)):
            return None
        bodies = encode_rows(result, pairwise(accumulate(counts, initial=0)))
        self._layout_known = self._layout_known or bodies is not None
        return bodies

    def _split(self, result: Any, counts: list[int]) -> list[Any] | None:
        parts = split(result, counts)
        self._layout_known = self._layout_known or parts is not None
        if parts is None and self._layout_known:
            parts = split(result, counts, layout_known=True)
        return parts


class _Batch:
    """Jobs that may share a call, with `counts` rows each. Their rows are `joined`, or still one of `values` each."""

    __slots__ = ("absent", "counts", "jobs", "joined", "parse_ms", "values")

    def __init__(self, jobs: list[Job], counts: list[int], joined: Any) -> None:
        self.jobs = jobs
        self.counts = counts
        self.joined = joined
        self.values: list[Any] = []
        self.parse_ms: list[float] = []  # of each job, or one for all
        self.absent = False  # the body lacks the parameter, and run() has a default for it

    @property
    def value(self) -> Any:
        """The rows of the only job."""
        return self.values[0] if self.joined is None else self.joined

    @property
    def rows(self) -> int:
        return sum(self.counts)


def _row_type(value: Any) -> Any:
    """What two values of rows must have in common so that joining them changes the type of neither."""
    dtype = getattr(value, "dtype", None)
    if dtype is not None and hasattr(value, "shape"):
        return (type(value), dtype, value.shape[1:])
    dtypes = getattr(value, "dtypes", None)
    return (type(value), None if dtypes is None else tuple(dtypes))
