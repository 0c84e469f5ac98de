"""`mldeploy latency NAME...` measures services. `latency_runs.py` has the commands about runs that are kept."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mldeploy_jupyter.commands.errors import RunInvalid, UsageError, WaitInterrupted
from mldeploy_jupyter.commands.grammar import Args, Command, Context, Param, Result
from mldeploy_jupyter.commands.latency_runs import as_data, compare_runs, list_runs, show_run
from mldeploy_jupyter.commands.latency_values import (
    BUDGET_PARAMS,
    check_enough_requests,
    drawn_limit,
    judge_budget,
    read_budget,
    read_payload,
    read_ramp,
)
from mldeploy_jupyter.commands.lookup import find_service_anywhere
from mldeploy_jupyter.commands.python_code import Code, call, program
from mldeploy_jupyter.core.errors import MldeployError, WebserviceNotFound
from mldeploy_jupyter.core.text import cut, printable_line

if TYPE_CHECKING:
    from mldeploy_jupyter.api.webservices.latency.measure import LatencyRun
    from mldeploy_jupyter.latency.result import LatencyResult

DOC = """Measure the latency of live services side by side.

Sends requests at a steady rate, whether the services keep up or not, and counts from when each was due. Shows
percentiles with what they rest on, where the time goes, and what differs from the last run of the same services.
Exit code 1 means that a budget was missed, 3 that the run is inconclusive. Runs are kept: `mldeploy latency list`."""

NAMES = Param(
    "name",
    ("--name", "-n"),
    "The services to measure.",
    "list",
    positional=True,
    completion="service",
    metavar="NAME",
)

INVALID = "the run is inconclusive"  # the first line of what a run that is not valid ends with

LOAD = "Load"
FOREIGN = "Services of others"

PARAMS: tuple[Param, ...] = (
    NAMES,
    Param(
        "rate",
        ("--rate", "-r"),
        "Requests a second to each service. By default half of what one connection reaches, at most 100.",
        "number",
        metavar="N",
        group=LOAD,
    ),
    Param(
        "duration",
        ("--duration",),
        "Seconds of load on each service. By default what p99 needs, 1,000 requests: 10 to 120. In a ramp 10 a step.",
        "number",
        group=LOAD,
    ),
    Param(
        "users",
        ("--users", "-u"),
        "A closed loop instead of a rate: this many users, who each wait for an answer.",
        "integer",
        metavar="N",
        group=LOAD,
    ),
    Param(
        "arrivals",
        ("--arrivals",),
        "When requests are due: evenly, or at random as independent clients send them.",
        choices=("constant", "poisson"),
        group=LOAD,
    ),
    Param(
        "ramp",
        ("--ramp",),
        "Rates to try one after the other: 50:400:4 is 50, 100, 200 and 400 a second.",
        metavar="FROM:TO:STEPS",
        group=LOAD,
    ),
    Param(
        "payload",
        ("--payload", "--data", "-d"),
        "What to send: JSON, a file with one value a line (.jsonl) or one body, or in a notebook an expression. By "
        "default the service's sample.",
        completion="file",
        metavar="INPUT",
        group=LOAD,
    ),
    Param("warmup", ("--warmup",), "Requests that are not counted. Default 20.", "integer", metavar="N", group=LOAD),
    Param(
        "timeout",
        ("--timeout",),
        "Seconds until a request counts as timed out. Default 30.",
        "number",
        metavar="SECONDS",
        group=LOAD,
    ),
    Param(
        "max_requests",
        ("--max-requests",),
        "The most requests of the whole run. Default 100,000.",
        "integer",
        metavar="N",
        group=LOAD,
    ),
    Param(
        "seed",
        ("--seed",),
        "The random seed: the same seed repeats order and times.",
        "integer",
        metavar="N",
        group=LOAD,
    ),
    *BUDGET_PARAMS,
    Param(
        "url",
        ("--url",),
        "Addresses of services that are in no workspace.",
        "list",
        metavar="URL",
        group=FOREIGN,
        advanced=True,
    ),
    Param(
        "may_load",
        ("--i-may-load-this",),
        "Confirms that you may put load on what --url names.",
        "switch",
        group=FOREIGN,
        advanced=True,
    ),
    Param(
        "key_file",
        ("--key-file",),
        "A file with the key that these services ask for.",
        completion="file",
        metavar="FILE",
        group=FOREIGN,
        advanced=True,
    ),
    Param("no_save", ("--no-save",), "Do not keep the run in the workspace.", "switch", advanced=True),
)


def measure(context: Context, args: Args) -> Result:
    from mldeploy_jupyter.api.webservices.latency.measure import start_latency
    from mldeploy_jupyter.api.webservices.latency.preparation import NoSample

    if not args.name and not args.url:
        raise UsageError(
            "mldeploy latency needs NAME", why="it was not given", hint="for example: mldeploy latency churn --rate 100"
        )
    address = next((name for name in args.name or [] if "://" in name), None)
    if address is not None:
        raise UsageError(
            f"{address} is the address of a service, not its name",
            why="load may harm a service, and the address may belong to somebody else",
            hint=f"if you may put load on it: mldeploy latency --url {address} --i-may-load-this",
        )
    _check_names(context, args)
    budget = read_budget(args)
    options = _options(context, args)
    check_enough_requests(budget, args, options)
    key = _read_key(args)
    services = [_find(context, args, name) for name in dict.fromkeys(args.name or [])]
    context.python = _python(args, options)
    try:
        run = start_latency(
            [*services, *(args.url or [])],
            **options,
            save=not args.no_save,
            allow_foreign=args.may_load,
            key=key,
        )
    except NoSample as error:
        name = shlex.quote(services[0].name) if services else f"--url {args.url[0]} --i-may-load-this"
        line = context.command_line(f"latency {name} -d {shlex.quote(json.dumps(error.example))}")
        error.hint = f"give it what your clients send, or a file of JSON lines: {line}"
        raise
    result = _wait(context, run, drawn_limit(budget))
    return _report(context, result, budget)


def _wait(context: Context, run: LatencyRun, limit: float | None) -> LatencyResult:
    """The result of the run; an interrupt ends it, and what was measured is returned.

    `limit` is drawn where a front end shows a figure, in milliseconds.
    """
    if context.follow_latency is not None and not context.json:
        followed: LatencyResult = context.follow_latency(run, limit)
        return followed
    line = StatusLine(context)
    try:
        return run.wait(line.show, keep_interrupted=True)
    finally:
        line.clear()


def _report(context: Context, result: LatencyResult, budget: dict[str, float]) -> Result:
    data = as_data(result, result.previous)
    text = str(result)
    failure: MldeployError | None = None
    if budget and result.valid:
        judged = judge_budget(result.rows(), budget)
        data["budget"] = {"met": judged.failure is None, "sentences": judged.sentences}
        text += "\n\n" + "\n".join(f"budget: {sentence}" for sentence in judged.sentences)
        failure = judged.failure
    if not result.valid:
        failure = RunInvalid(
            INVALID,
            why=result.invalid_reason,
            hint="run it again when the machine is quiet, or with a lower --rate",
        )
    elif result.ending.reason == "cancelled":
        failure = WaitInterrupted(
            "the run was stopped before its end",
            why="it was interrupted; what was measured until then is shown, and kept",
            hint=f"see it again with: {context.command_line(f'latency show {result.id}')}",
            value=result,
        )
    elif result.ending.reason == "died" and not failure:
        failure = RunInvalid(
            "every service died during the run",
            why=result.notes[-1] if result.notes else "all connections were refused",
            hint="see why: mldeploy service list",
        )
    return Result(result, text, data, context.python, failure=failure)


class StatusLine:
    """A line on the error stream that the next one overwrites; nothing when it is not a terminal."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._shown = 0

    def show(self, text: str) -> None:
        if not self._context.isatty:
            return
        import shutil

        text = cut(printable_line(text), max(20, shutil.get_terminal_size((80, 24)).columns - 1))
        self._context.err.write("\r" + text + " " * max(0, self._shown - len(text)))
        self._context.err.flush()
        self._shown = len(text)

    def clear(self) -> None:
        if self._shown:
            self._context.err.write("\r" + " " * self._shown + "\r")
            self._context.err.flush()
            self._shown = 0


def _find(context: Context, args: Args, name: str) -> Any:
    return find_service_anywhere(context, Args(**{**vars(args), "name": name}), beyond_workspace=False)


def _check_names(context: Context, args: Args) -> None:
    """Raises `UsageError` for what stands among the names and is something to send, as `%score` takes it."""
    for name in (args.name or [])[1:]:
        if not re.fullmatch(r"[\w.:-]+", name) or _is_variable(context, args, name):
            raise UsageError(
                f"{name} is not the name of a service",
                why="all words before the options are services, which are measured side by side",
                hint=f"if it is what to send: mldeploy latency {args.name[0]} -d {shlex.quote(name)}",
            )


def _is_variable(context: Context, args: Args, name: str) -> bool:
    """Whether the notebook has a variable of this name, and there is no such service."""
    if name not in (context.namespace or {}):
        return False
    try:
        _find(context, args, name)
    except WebserviceNotFound:
        return True
    return False


def _options(context: Context, args: Args) -> dict[str, Any]:
    """The arguments of `start_latency` from the options."""
    names = ("rate", "duration", "users", "arrivals", "warmup", "timeout", "max_requests", "seed")
    given = {name: getattr(args, name) for name in names if getattr(args, name) is not None}
    if args.ramp is not None:
        given["ramp"] = read_ramp(args.ramp)
    if args.payload is not None:
        given["payload"] = read_payload(args.payload, context.namespace)
    return given


def _python(args: Args, options: dict[str, Any]) -> str:
    shown = {**options}
    from_file = isinstance(shown.get("payload"), Path)
    if from_file:
        shown["payload"] = Code(f"Path({str(shown['payload'])!r})")
    elif "payload" in shown and not isinstance(shown["payload"], str):
        shown["payload"] = Code(args.payload)  # an expression
    head = ["from pathlib import Path"] if from_file else []
    if args.name and len(args.name) == 1 and not args.url:
        lines = [f"service = Webservice(ws, {args.name[0]!r})", call("result = service.latency", **shown)]
    else:
        services = [f"Webservice(ws, {name!r})" for name in args.name or []] + [repr(url) for url in args.url or []]
        shown |= {"allow_foreign": True} if args.url else {}
        lines = [call("result = measure_latency", f"[{', '.join(services)}]", **shown)]
    return program(*head, *lines, "print(result)")


def _read_key(args: Args) -> str | None:
    if args.key_file is None:
        return None
    try:
        return Path(args.key_file).read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"--key-file {args.key_file} cannot be read",
            why=(getattr(error, "strerror", None) or "it is not UTF-8 text").lower(),
            hint="name a file that has the key and nothing else",
        ) from None


_RUN = Param("run", (), "The run's id. The newest when left out.", completion="latency run", metavar="RUN")

COMMANDS: tuple[Command, ...] = (
    Command(("latency",), DOC, PARAMS, measure, "latency churn --rate 100 --duration 20 --p99-below 50ms"),
    Command(
        ("latency", "list"),
        "List the latency runs that are kept, newest first.",
        (Param("name", ("--name", "-n"), "Only runs of this service.", positional=True, completion="service"),),
        list_runs,
        "latency list churn",
    ),
    Command(
        ("latency", "show"),
        "Show a latency run again, compared with the one before it.",
        (_RUN,),
        show_run,
        "latency show",
    ),
    Command(
        ("latency", "compare"),
        "Compare two latency runs: how much slower or faster, and how certain that is.",
        (
            Param("run", (), "The run's id.", required=True, completion="latency run", metavar="RUN"),
            Param(
                "other",
                (),
                "The run that it is compared with. The one before it when left out.",
                completion="latency run",
                metavar="OTHER",
            ),
        ),
        compare_runs,
        "latency compare 20261127T030000-a1b2c3",
    ),
)
