"""Makes of the arguments of `measure_latency` what a run needs: plan, bodies, and how each service is found."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

from mldeploy_jupyter.api.arguments import WorkspaceLike, check_text, check_workspace
from mldeploy_jupyter.api.webservices.latency.arguments import FUNCTION, bind
from mldeploy_jupyter.core.errors import UserErrorException
from mldeploy_jupyter.core.scoring_body import find_example, request_schema
from mldeploy_jupyter.latency import payloads
from mldeploy_jupyter.latency.measuring import Endpoint
from mldeploy_jupyter.latency.payloads import Payload
from mldeploy_jupyter.latency.plan import MOST_SECONDS, LatencyPlan, PlannedService, check_plan, choose_duration

if TYPE_CHECKING:
    from mldeploy_jupyter.core.records import ServiceRecord

JSON = "application/json"

LINES_SUFFIXES = (".jsonl", ".ndjson")

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
    """A service as a run needs it: how the plan names it, and how it is found while the run is in progress."""

    planned: PlannedService
    find: Callable[[], Endpoint]
    read_document: Callable[[], dict[str, Any] | None]
    find_keys: Callable[[], list[str]] = list  # of the body, that the script reads


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

    `example` is a made-up body of the form that the service takes; `keys` are those that its script reads of a text.
    """

    def __init__(self, what: str, document: dict[str, Any] | None, keys: Sequence[str] = ()) -> None:
        self.example = _make_example(document, keys)
        super().__init__(
            what,
            why="its script declares no sample, as @input_schema would"
            if document
            else "it does not describe its input",
            hint=f'pass payload={self.example!r}, or a file of JSON lines: payload=Path("inputs.jsonl")',
        )


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
    return Target(planned, service.find_endpoint, service.read_openapi, lambda: _find_keys(service))


def _find_keys(service: Measurable) -> list[str]:
    """The keys that the service's script reads of a body that it parses itself."""
    from mldeploy_jupyter.core.script.body_keys import find_body_keys

    record = service.record
    revision = service.workspace.folder.open_store().get_revision(record.name, record.revision)
    path = (revision.inference_config.get("entry_path") if revision is not None else None) or ""
    with suppress(OSError, ValueError):
        return find_body_keys(Path(path).read_text("utf-8"))
    return []


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
        raise NoSample(f"{target.planned.name} has no sample to send", document, target.find_keys())
    # The example of the document is a whole body.
    if payload is None:
        return payloads.make_sample(value), "sample"
    return payloads.make_sample(value, document), "value"


def _make_example(document: dict[str, Any] | None, keys: Sequence[str]) -> Any:
    from mldeploy_jupyter.serving.schema.made_value import make_value

    schema = request_schema(document)
    with suppress(ValueError, KeyError, TypeError, RecursionError):
        if schema.get("properties"):
            return make_value(schema)
    return {key: [[1.0, 2.0]] for key in keys} or [[1.0, 2.0]]


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
