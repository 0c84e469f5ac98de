"""Measures the latency of services: checks the arguments, makes the plan and what is sent, and keeps the result."""

from __future__ import annotations

import os
import re
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

from mldeploy_jupyter.api.arguments import WorkspaceLike, check_text, check_workspace
from mldeploy_jupyter.api.webservices.latency_arguments import FUNCTION, bind, takes
from mldeploy_jupyter.core.errors import MldeployError, UserErrorException
from mldeploy_jupyter.core.scoring_body import find_example, request_schema
from mldeploy_jupyter.latency import payloads
from mldeploy_jupyter.latency.measuring import DEPLOYMENT, Ending, Endpoint, Measurement, OnEvent, start_measurement
from mldeploy_jupyter.latency.payloads import Payload
from mldeploy_jupyter.latency.plan import MOST_SECONDS, LatencyPlan, PlannedService, check_plan, choose_duration
from mldeploy_jupyter.latency.recording import read_samples
from mldeploy_jupyter.latency.result import LatencyResult
from mldeploy_jupyter.latency.saved import SavedRun, change_plan, create_run, finish_run, prune_runs
from mldeploy_jupyter.latency.text import describe_progress

if TYPE_CHECKING:
    from mldeploy_jupyter.core.records import ServiceRecord

POLL_SECONDS = 0.25  # between two looks at a run that is shown

JSON = "application/json"

LINES_SUFFIXES = (".jsonl", ".ndjson")

DEPLOYMENTS = 20  # of each service, at most, that a run names

FUNCTION_CALLS = 1000  # of a payload function, at most


class Measurable(Protocol):
    """The part of `Webservice` that a run needs. The class itself is above this module."""

    name: str
    workspace: WorkspaceLike

    @property
    def scoring_uri(self) -> str: ...

    @property
    def record(self) -> ServiceRecord: ...

    def find_endpoint(self) -> Endpoint: ...

    def read_openapi(self) -> dict[str, Any] | None: ...

    def count_requests(self) -> int | None: ...


@dataclass(frozen=True)
class Target:
    """A service as a run needs it: how the plan names it, and how it is found while the run goes on."""

    planned: PlannedService
    find: Callable[[], Endpoint]
    read_document: Callable[[], dict[str, Any] | None]


@dataclass(frozen=True)
class PreparedRun:
    """A run that can begin: plan, bodies, how the services are found, and the workspace that keeps it with `keep`."""

    plan: LatencyPlan
    bodies: list[Payload]
    find: list[Callable[[], Endpoint]] = field(repr=False)
    workspace: WorkspaceLike | None = None
    keep: bool = True


class NoSample(UserErrorException):
    """The service has no sample, and no payload was given. Front ends name their own way to give one.

    `example` is a made-up body of the form that the service takes.
    """

    def __init__(self, what: str, document: dict[str, Any] | None) -> None:
        self.example = _make_example(document)
        super().__init__(
            what,
            why="its script declares no sample, as @input_schema would"
            if document
            else "it does not describe its input",
            hint=f'pass payload={self.example!r}, or a file of JSON lines: payload=Path("inputs.jsonl")',
        )


@dataclass
class LatencyRun:
    """A run that goes on in a process of its own. It ends with this process; `wait` or `stop` return its result.

    `progress` is the last message of the load about how far it is (`latency/generator/messages.py`).
    """

    measurement: Measurement
    saved: SavedRun | None
    workspace: WorkspaceLike | None
    cleanup: ExitStack = field(repr=False)
    progress: dict[str, Any] = field(default_factory=dict)
    _result: LatencyResult | None = None
    _ending: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @property
    def id(self) -> str:
        return self.measurement.run

    @property
    def plan(self) -> LatencyPlan:
        return self.measurement.plan

    @property
    def running(self) -> bool:
        return self.measurement.running

    def wait(self, show: Callable[[str], object] | None = None, *, keep_interrupted: bool = False) -> LatencyResult:
        """The result, when the run has ended; `show` gets a line about its progress a few times a second.

        An interrupt ends the run: what was measured is kept, and the interrupt raised again, or with `keep_interrupted`
        what was measured is returned. Raises `WebserviceException` when the load's own process ended early.
        """
        names = [service.name for service in self.plan.services]
        try:
            while True:
                try:
                    self.measurement.wait(POLL_SECONDS)
                    break
                except TimeoutError:
                    if show is not None and self.progress:
                        show(describe_progress(self.progress, names))
        except KeyboardInterrupt:
            self._finish(self.measurement.stop())
            if not keep_interrupted:
                raise
        except MldeployError:
            self._finish(self.measurement.ending())
            raise
        return self._finish(self.measurement.ending())

    def stop(self) -> LatencyResult:
        """Ends the run, and returns what was measured."""
        return self._finish(self.measurement.stop())

    def _finish(self, ending: Ending) -> LatencyResult:
        """Makes the result and keeps it, once."""
        with self._ending, self.cleanup:
            if self._result is None:
                ending = self._with_deployments(ending)
                samples = read_samples(self.measurement.samples)
                made = LatencyResult(self.id, self.plan, ending, lambda: samples)
                rows, previous = made.rows(), None
                if self.saved is not None and self.workspace is not None:
                    finish_run(replace(self.saved, plan=self.plan), ending, rows=rows)
                    previous = made.find_previous(self.workspace)
                    prune_runs(self.workspace.folder)
                self._result = LatencyResult(self.id, self.plan, ending, lambda: samples, rows, previous)
        return self._result

    def _with_deployments(self, ending: Ending) -> Ending:
        """The ending with a note for each deployment of a measured service that began or failed meanwhile."""
        folder = self.workspace.find_folder() if self.workspace is not None else None
        if folder is None:
            return ending
        notes = list(ending.notes)
        for index, service in enumerate(self.plan.services):
            if service.workspace != folder.config.name:
                continue
            with suppress(MldeployError):  # a store that is away takes no result along
                for record in folder.open_store().list_deployments(service.name, limit=DEPLOYMENTS):
                    found = [(record.created_time, f"{record.operation} began")]
                    if record.state not in ("running", "live"):
                        found.append((record.finished_time or "", f"{record.operation} {record.state}"))
                    for stamp, text in found:
                        if ending.begun <= stamp <= ending.ended:
                            at = (datetime.fromisoformat(stamp) - self.measurement.origin).total_seconds()
                            note = {"time": round(at, 3), "service": index, "kind": DEPLOYMENT, "text": text}
                            notes.append(note)
        return replace(ending, notes=sorted(notes, key=lambda note: float(note.get("time", 0.0))))


@takes(FUNCTION)
def measure_latency(*args: Any, **kwargs: Any) -> LatencyResult:
    """Measures the latency of one or several services side by side, and returns the result.

    By default an open loop: `rate` requests a second to each service, at times planned before, for `duration` seconds
    each, in turns of a second in random order. A latency begins when its request was due, so that a slow service does
    not slow the measurement down. Without `rate` it is at most 100 a second, and half of what one connection reached.
    `users` makes it a closed loop of that many, who each wait for an answer. `ramp` is a list of rates that are tried
    one after the other, for `duration` seconds each. Without `duration` it is what p99 needs, 1,000 requests at the
    rate, from 10 seconds to two minutes; 10 seconds with `users` and in a ramp. `arrivals` is "constant" or "poisson".

    `payload` is an input as for `service.run`; a `Path` to a JSON lines file, or to another file that is sent as it is;
    a function that returns inputs, called with 0, 1, 2 and so on; or bytes. Without one it is the sample of the first
    service. `warmup` requests to each service are not counted. `timeout` is in seconds (30), `max_requests` the limit
    of the whole run (100,000). The same `seed` makes the same order and the same times.

    The run is kept in the workspace of the first service, unless `save` is False. A string among the services is an
    address that is in no store: it is measured only with `allow_foreign`, and gets `key` if one is given. `workspace`
    keeps the runs of such addresses. `show_output` prints how far the run is. An interrupt ends it, and what was
    measured is kept: `LatencyResult.list(ws)`.

    Raises:
        UserErrorException: an argument that cannot be used, or a service without a sample.
        DeploymentFailed, DeploymentCancelled, DeploymentInterrupted: how the deployment of a service ended.
        WebserviceException: the load's own process ended early.
    """
    given = bind(FUNCTION, "measure_latency", args, kwargs)
    line = ProgressLine() if given.pop("show_output") else None
    run = start_latency(**given)
    try:
        return run.wait(line)
    except KeyboardInterrupt:
        if line is not None and run.saved is not None:
            line.close()
            print(f"stopped; what was measured is kept: LatencyResult.load(ws, {run.id!r})")
        raise
    finally:
        if line is not None:
            line.close()


def start_latency(services: Any, *, on_event: OnEvent = lambda event: None, **options: Any) -> LatencyRun:
    """Begins what `measure_latency` does, with the same arguments, and returns at once.

    `on_event` gets the messages of the load, in a thread of its own (`latency/measuring.py`). Raises as
    `measure_latency` does.
    """
    return carry_out(prepare_run(services, **options), on_event=on_event)


def prepare_run(services: Any, **options: Any) -> PreparedRun:
    """What a run needs, checked, from the arguments of `measure_latency`. Raises as that does, and sends nothing."""
    asked = SimpleNamespace(**bind(FUNCTION, "start_latency", (services,), options))
    if asked.users is not None and asked.ramp is not None:
        raise UserErrorException(
            "users and ramp exclude each other",
            why="a ramp is a list of rates, and in a closed loop the answers make the rate",
            hint="pass ramp=[50, 100, 200] alone",
        )
    given = _plan_load(asked)
    listed = _check_services(services, asked.allow_foreign)
    # Everything that can be wrong is said before a service is asked or waited for.
    unknown = tuple(PlannedService(_name_of(service), "") for service in listed)
    check_plan(LatencyPlan(unknown, **given))
    text_key = check_text("key", asked.key) or ""
    targets = [_foreign_target(each, text_key) if isinstance(each, str) else _target(each) for each in listed]
    plan = LatencyPlan(tuple(target.planned for target in targets), **given)
    bodies, kind = _make_payloads(asked.payload, targets[0], plan)
    plan = LatencyPlan.from_dict({**plan.to_dict(), "payload": payloads.describe(bodies, kind).to_dict()})
    home = check_workspace(asked.workspace) if asked.workspace is not None else _first_workspace(listed)
    return PreparedRun(plan, bodies, [target.find for target in targets], home, asked.save and home is not None)


def carry_out(
    prepared: PreparedRun, saved: SavedRun | None = None, on_event: OnEvent = lambda event: None
) -> LatencyRun:
    """Begins a run in this process. `saved` is its record where another process has made that."""
    home = prepared.workspace
    if saved is None and prepared.keep and home is not None:
        saved = create_run(home.folder, prepared.plan)
    kept, cleanup = saved, ExitStack()
    if kept is None:
        path = Path(cleanup.enter_context(tempfile.TemporaryDirectory(prefix="mldeploy-latency-"))) / "samples.bin"
    else:
        path = kept.samples_path

    progress: dict[str, Any] = {}

    def handle(event: dict[str, Any]) -> None:
        if event["type"] == "progress":
            progress.update(event)
        elif event["type"] == "duration" and kept is not None:
            with suppress(MldeployError):  # it is only shown, and recorded again at the end
                change_plan(kept, replace(kept.plan, duration=event["seconds"], until_p99=False))
        on_event(event)

    measurement = start_measurement(
        prepared.plan,
        prepared.bodies,
        path,
        lambda index: prepared.find[index](),
        handle,
        run=kept.id if kept else "not-kept",
    )
    return LatencyRun(measurement, kept, home, cleanup, progress)


def _plan_load(asked: Any) -> dict[str, Any]:
    """What the plan has of the arguments, all but services and payload."""
    names = ("rate", "users", "arrivals", "warmup", "timeout", "max_requests")
    given = {name: getattr(asked, name) for name in names if getattr(asked, name) is not None}
    given["mode"] = "open" if asked.users is None else "closed"
    if asked.ramp is not None:
        given["ramp"] = _check_ramp(asked.ramp)
    given["seed"] = int.from_bytes(os.urandom(4), "big") if asked.seed is None else _check_seed(asked.seed)
    if asked.duration is not None:
        given["duration"] = asked.duration
    elif asked.rate is not None:
        given["duration"] = choose_duration(asked.rate if isinstance(asked.rate, (int, float)) else None)
    elif asked.users is None and asked.ramp is None:
        given |= {"duration": MOST_SECONDS, "until_p99": True}
    return given


class ProgressLine:
    """Shows a line that the next one overwrites, on standard output; where that is a file, none."""

    def __init__(self) -> None:
        self._out = sys.stdout
        self._shown = 0
        self._overwrites = self._out.isatty() or "ipykernel" in sys.modules

    def __call__(self, text: str) -> None:
        if self._overwrites:
            self._out.write(f"\r{text}{' ' * max(0, self._shown - len(text))}")
            self._out.flush()
            self._shown = len(text)

    def close(self) -> None:
        if self._shown:
            self._out.write(f"\r{' ' * self._shown}\r")
            self._out.flush()
            self._shown = 0


def _check_services(services: Any, allow_foreign: bool) -> list[Any]:
    single = isinstance(services, str) or not isinstance(services, Iterable)
    listed = [services] if single else list(services)
    for place, service in enumerate(listed):
        if isinstance(service, str) and urlsplit(service).scheme not in ("http", "https"):
            raise UserErrorException(
                f"{service!r} is not a service",
                why="a string is an address, http:// or https://",
                hint=f"pass Webservice(ws, {service!r})",
            )
        if isinstance(service, str) and not allow_foreign:
            raise UserErrorException(
                f"{service} is in no workspace",
                why="load may harm a service, and it is not known whether this one is yours",
                hint="if you may put load on it, pass allow_foreign=True, or --i-may-load-this on the command line",
            )
        if not (isinstance(service, str) or hasattr(type(service), "find_endpoint")):
            raise UserErrorException(
                f"{type(service).__name__} is not a service",
                why="what is measured is a Webservice, or the address of one",
                hint="pass Webservice(ws, NAME), or a list of them",
            )
        if any(_identity(service) == _identity(other) for other in listed[:place]):
            raise UserErrorException(
                f"{_name_of(service)} is given twice",
                why="the services of a run take turns, each once a round",
                hint="leave one of them out; two runs are compared with result.compare(other)",
            )
    return listed


def _identity(service: Any) -> tuple[str, str]:
    return (service, "") if isinstance(service, str) else (service.name, str(service.workspace.start))


def _name_of(service: Measurable | str) -> str:
    return re.sub(r"^https?://", "", service).removesuffix("/score") if isinstance(service, str) else service.name


def _check_ramp(ramp: Any) -> tuple[float, ...]:
    try:
        rates = tuple(float(rate) for rate in ramp)
    except (TypeError, ValueError):
        rates = ()
    if not rates:
        raise UserErrorException(
            f"ramp is {ramp!r}", why="it must be a list of rates, in requests a second", hint="pass ramp=[50, 100, 200]"
        )
    return rates


def _check_seed(seed: Any) -> int:
    if not isinstance(seed, int) or isinstance(seed, bool) or seed < 0:
        raise UserErrorException(
            f"seed is {seed!r}", why="it must be a whole number of at least 0", hint="leave it out, or pass seed=1"
        )
    return seed


def _target(service: Measurable) -> Target:
    uri = service.scoring_uri  # waits for a deployment under way
    record = service.record
    planned = PlannedService(
        service.name, uri, service.workspace.name, record.target, record.revision, service.count_requests() == 0
    )
    return Target(planned, service.find_endpoint, service.read_openapi)


def _foreign_target(address: str, key: str) -> Target:
    return Target(PlannedService(_name_of(address), address), lambda: Endpoint(address, key), lambda: None)


def _first_workspace(services: Sequence[Any]) -> WorkspaceLike | None:
    return next((service.workspace for service in services if not isinstance(service, str)), None)


def _make_payloads(payload: Any, target: Target, plan: LatencyPlan) -> tuple[list[Payload], str]:
    """What is sent, and its kind as the plan has it."""
    if isinstance(payload, bytes):
        return payloads.raw_bytes(payload, JSON), "bytes"
    if isinstance(payload, Path):
        return _read_payload_file(payload, target)
    document = target.read_document()
    if callable(payload):
        return payloads.call_function(
            payload, min(plan.requests or FUNCTION_CALLS, FUNCTION_CALLS), document
        ), "function"
    value = find_example(document) if payload is None else payload
    if value is None:
        raise NoSample(f"{target.planned.name} has no sample to send", document)
    # The example of the document is a whole body.
    if payload is None:
        return payloads.make_sample(value), "sample"
    return payloads.make_sample(value, document), "value"


def _make_example(document: dict[str, Any] | None) -> Any:
    from mldeploy_jupyter.serving.schema.made_value import make_value

    schema = request_schema(document)
    with suppress(ValueError, KeyError, TypeError, RecursionError):
        if schema.get("properties"):
            return make_value(schema)
    return [[1.0, 2.0]]


def _read_payload_file(path: Path, target: Target) -> tuple[list[Payload], str]:
    path = path.expanduser()
    if path.suffix.lower() in LINES_SUFFIXES:
        return payloads.read_lines(path, target.read_document()), "lines"
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserErrorException(
            f"the payload {path} cannot be read",
            why=(error.strerror or str(error)).lower(),
            hint="name a file that is there: one JSON value a line in .jsonl, or one body in another file",
        ) from None
    media_type = JSON if path.suffix.lower() == ".json" else "application/octet-stream"
    return payloads.raw_bytes(content, media_type), "bytes"
