"""The values of `--ramp`, `--payload` and `--p99-below`, and whether a run keeps its budget."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mldeploy_jupyter.commands.errors import BudgetMissed, RunInvalid, UsageError
from mldeploy_jupyter.commands.grammar import Args, Param
from mldeploy_jupyter.core.errors import MldeployError

BUDGET = "Budget"

PERCENTILES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99, "p99.9": 0.999}

ERRORS = "errors"

MAX_ERRORS = 1.0  # percent of the requests that may fail in a run with a budget; answers that fail fast are not success

_UNITS = {"ms": 1.0, "s": 1000.0, "us": 0.001, "µs": 0.001, "": 1.0}


def _name(percentile: str) -> str:
    return f"{percentile.replace('.', '_')}_below"


BUDGET_PARAMS: tuple[Param, ...] = (
    *(
        Param(
            _name(percentile),
            (f"--{percentile}-below",),
            f"Fail when {percentile} is not below this, such as 50ms or 1.5s.",
            metavar="TIME",
            group=BUDGET,
            advanced=percentile not in ("p50", "p99"),
        )
        for percentile in PERCENTILES
    ),
    Param(
        "errors_below",
        ("--errors-below",),
        f"Fail when more of the requests fail. {MAX_ERRORS:g}% when another budget is given.",
        metavar="PERCENT",
        group=BUDGET,
        advanced=True,
    ),
)


@dataclass(frozen=True, eq=False)
class Judgement:
    """What each budget came to, and the error when one was missed or cannot be judged."""

    sentences: list[str]
    failure: MldeployError | None


def read_budget(args: Args) -> dict[str, float]:
    """The limits that the options give: milliseconds by percentile, and percent of errors. Empty without any.

    Raises `UsageError`.
    """
    found: dict[str, float] = {}
    for percentile in PERCENTILES:
        text = getattr(args, _name(percentile))
        if text is not None:
            found[percentile] = _read_time(text, f"--{percentile}-below")
    if args.errors_below is not None:
        found[ERRORS] = _read_percent(args.errors_below)
    elif found:
        found[ERRORS] = MAX_ERRORS
    if found and args.ramp is not None:
        raise UsageError(
            "--ramp has no budget",
            why="a ramp continues until services are overloaded, which misses any",
            hint="leave --ramp out, and measure at the rate that the service must bear: --rate 100",
        )
    return found


def _read_time(text: str, flag: str) -> float:
    match = re.fullmatch(r"([0-9]*\.?[0-9]+) ?(ms|s|us|µs|)", text.strip())
    if match is None or float(match[1]) <= 0:
        raise UsageError(
            f"{flag} cannot be {text!r}", why="it is a time, such as 50ms, 1.5s or 800us", hint=f"write {flag} 50ms"
        )
    return float(match[1]) * _UNITS[match[2]]


def _read_percent(text: str) -> float:
    match = re.fullmatch(r"([0-9]*\.?[0-9]+) ?%?", text.strip())
    if match is None or float(match[1]) > 100:
        raise UsageError(
            f"--errors-below cannot be {text!r}",
            why="it is a share of the requests in percent",
            hint="write --errors-below 1%",
        )
    return float(match[1])


def drawn_limit(budget: Mapping[str, float]) -> float | None:
    """The limit that a figure shows, in milliseconds: that of the highest percentile."""
    return next((budget[percentile] for percentile in reversed(PERCENTILES) if percentile in budget), None)


def check_enough_requests(budget: Mapping[str, float], args: Args, options: Mapping[str, Any]) -> None:
    """Raises `UsageError` when the planned run would have too few requests for a percentile of the budget."""
    from mldeploy_jupyter.latency.plan import choose_duration
    from mldeploy_jupyter.latency.statistics import requests_needed

    rate = options.get("rate")
    wanted = [percentile for percentile in PERCENTILES if percentile in budget]
    if rate is None or not rate > 0 or not wanted:
        return
    duration = options.get("duration", choose_duration(rate))
    needed = requests_needed(PERCENTILES[wanted[-1]])
    if rate * duration < needed:
        raise UsageError(
            f"--{wanted[-1]}-below needs {needed:,} requests",
            why=f"{duration:g} s at {rate:g} a second make {int(rate * duration):,}",
            hint=f"write --duration {-(-needed // rate):g}, or raise --rate",
        )


def judge_budget(rows: Sequence[Mapping[str, Any]], budget: Mapping[str, float]) -> Judgement:
    """Whether every service kept the budget."""
    from mldeploy_jupyter.latency.verdict import format_milliseconds

    sentences, missed, unknown = [], [], []
    for row in rows:
        for percentile, limit in budget.items():
            name = row["service"]
            if percentile == ERRORS:
                requests = row["requests"] + row["dropped"]
                share = 100 * (row["errors"] + row["dropped"]) / requests if requests else 100.0
                if share > limit:
                    missed.append(f"{share:.3g} % of the requests to {name} failed, more than {limit:g} %")
                continue
            value, shown = row[percentile], format_milliseconds(limit)
            if value is None:
                unknown.append(f"{name} {percentile} is not known: {row['missing'][0]}")
                continue
            said = f"{name} {percentile} is {format_milliseconds(value)}"
            if value >= limit:
                missed.append(f"{said}, not below {shown}")
                continue
            high = row[f"{percentile}_high"]
            if high is None:
                doubt = "; its 95 % interval has no upper bound"
            else:
                doubt = "" if high < limit else f"; its 95 % interval reaches {format_milliseconds(high)}"
            sentences.append(f"{said}, below {shown}{doubt}")
    sentences = [*missed, *unknown, *sentences]
    if not rows:
        unknown.append("nothing was measured")
    if missed:
        what = "the budget was missed" if len(missed) == 1 else f"{len(missed)} budgets were missed"
        hint = "see where the time goes in the table above, and compare: mldeploy latency list"
        return Judgement(sentences, BudgetMissed(what, why="\n".join(missed), hint=hint))
    if unknown:
        hint = "measure longer: --duration 60"
        return Judgement(sentences, RunInvalid("the budget cannot be judged", why="\n".join(unknown), hint=hint))
    return Judgement(sentences, None)


MAX_STEPS = 50

_BEGINS = ("{", "[", '"')  # beginnings of JSON that no file name has


def read_ramp(text: str) -> list[float]:
    """The rates: steps of equal ratio from the first to the last, or those of a list such as 50,100,200.

    Raises `UsageError`.
    """
    try:
        if ":" not in text:
            return [_positive(float(word)) for word in text.split(",")]
        first, last, steps = text.split(":")
        low, high, count = _positive(float(first)), _positive(float(last)), int(steps)
        if not 2 <= count <= MAX_STEPS:
            raise ValueError
        return [float(f"{low * (high / low) ** (step / (count - 1)):.3g}") for step in range(count)]
    except ValueError:
        raise UsageError(
            f"--ramp cannot be {text!r}",
            why=f"it is FROM:TO:STEPS in requests a second, with 2 to {MAX_STEPS} steps, or a list of rates",
            hint="write --ramp 50:400:4, or --ramp 50,100,200",
        ) from None


def _positive(number: float) -> float:
    if not 0 < number < float("inf"):
        raise ValueError
    return number


def read_payload(text: str, namespace: dict[str, Any] | None = None) -> Any:
    """The JSON text, the path of the file, or the value of an expression over the `namespace` of a notebook.

    A number, true, false and null are JSON unless a file has that name. Raises `UsageError` for text that begins like
    JSON but is invalid, and for what is neither a file nor an expression.
    """
    if text.lstrip().startswith(_BEGINS):
        error = _find_error(text)
        if error and namespace is not None:
            return _evaluate(text, namespace, f"it is not JSON: {error}")
        if error:
            raise UsageError(
                f"--payload {text[:60]}{'…' if len(text) > 60 else ''} is not JSON",
                why=error,
                hint="quote it, and use double quotes inside: --payload '{\"data\": [[1.0, 2.0]]}'; or name a file",
            )
        return text
    if os.path.lexists(os.path.expanduser(text)):
        return Path(text)
    if not _find_error(text):
        return text
    return Path(text) if namespace is None else _evaluate(text, namespace, "there is no such file")


def _evaluate(text: str, namespace: dict[str, Any], otherwise: str) -> Any:
    try:
        return eval(compile(text, "<--payload>", "eval"), dict(namespace))
    except Exception as error:  # the user's expression may raise anything
        raise UsageError(
            f"--payload {text[:60]}{'…' if len(text) > 60 else ''} cannot be read",
            why=f"{otherwise}; as a Python expression: {type(error).__name__}: {error}",
            hint="quote what has spaces or quotes: -d 'X_test[:3]', or -d '{\"data\": [[1.0, 2.0]]}'; or name a file",
        ) from None


def _find_error(text: str) -> str:
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        return f"{error.msg[:1].lower()}{error.msg[1:]} (character {error.pos + 1})"
    except (ValueError, RecursionError) as error:  # a number of too many digits
        return f"{type(error).__name__}: {error}"
    return ""
