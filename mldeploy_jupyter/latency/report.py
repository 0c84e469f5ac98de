"""The report of a run: its heading, tables, spectrum and verdict, as lines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mldeploy_jupyter.latency.comparison import MOST_FAILED, compare_runs
from mldeploy_jupyter.latency.measured_run import MeasuredRun
from mldeploy_jupyter.latency.statistics import QUANTILES, find_knee, percentile_name, requests_needed
from mldeploy_jupyter.latency.summary import summarise
from mldeploy_jupyter.latency.text import describe_rate, describe_share, parts_table, percentile_table, sparklines
from mldeploy_jupyter.latency.verdict import describe_missing, format_milliseconds

SENT_SHARE = 0.98  # of the wanted rate; below it the report says that the services could not keep up

STEPS = 3  # of a ramp, at least, that have a knee

LISTED_TIMES = 6  # moments that a sentence names

ENDINGS = {
    "cancelled": "the run was stopped before its end; this is what had been measured",
    "limit": "the run reached its limit of requests or time; this is what had been measured",
    "slept": "the machine slept during the run; this is what had been measured",
    "stalled": "the load's own process was stopped for a while, though the machine did not sleep; "
    "this is what had been measured",
    "died": "every service died during the run; this is what had been measured",
    "running": "the run continues; this is what has been measured",
    "interrupted": "the process that made the run ended; this is what had been measured",
}


def describe_plan(run: MeasuredRun) -> str:
    """How it was measured: "open loop, 100/s, constant arrivals, 10 s for each service"."""
    plan = run.plan
    loop = "open loop" if plan.mode == "open" else "closed loop"
    if plan.mode == "open":
        rate = plan.rate if run.rate is None else run.rate  # a run in progress has only what was planned
        chosen = describe_rate(rate) if rate is not None else "a rate chosen after the warm-up"
        steps = ", ".join(describe_rate(step) for step in plan.ramp) if plan.ramp else chosen
        load = f"{steps}, {plan.arrivals.replace('poisson', 'Poisson')} arrivals"
    else:
        counts = [int(step or 1) for step in plan.steps]
        load = f"{', '.join(f'{count:,}' for count in counts)} {'user' if counts == [1] else 'users'}"
    each = " for each service" if len(plan.services) > 1 else ""
    each = " for each service and step" if plan.ramp and each else " for each step" if plan.ramp else each
    return f"{loop}, {load}, {plan.duration:g} s{each}"


def make_verdict(run: MeasuredRun, against: MeasuredRun | None = None) -> list[str]:
    """The sentences of a run, the most important first."""
    rows = run.rows()
    if not rows:
        return [*_state(run), "nothing was measured"]
    lines = _state(run)
    for row in rows:
        if row["errors"]:
            kinds = ", ".join(f"{count:,} {kind}" for kind, count in row["errors_by_kind"].items())
            sent = describe_share(row["errors"], row["requests"])
            lines.append(f"{row['service']}: {sent} of {row['requests']:,} requests failed: {kinds}")
            lines += describe_answered(row)
        if row["dropped"]:
            all_of_them = row["dropped"] + row["requests"]
            lines.append(
                f"{row['service']}: {describe_share(row['dropped'], all_of_them)} of {all_of_them:,} requests were "
                f"never sent, because no connection was free in time"
            )
        wanted, reached = row["rate_wanted"], row["rate_reached"]
        answers = row["errors"] <= MOST_FAILED * row["requests"]  # what is reached counts quick failures
        if wanted and reached and reached < SENT_SHARE * wanted and answers and not run.plan.ramp:
            lines.append(
                f"{row['service']} did not keep up: {describe_rate(reached)} of {describe_rate(wanted)} were answered"
            )
    if run.valid:
        if run.plan.ramp:
            lines += [sentence for row in rows if (sentence := _knee(run, row))]
        if len(rows) > 1 and not run.plan.ramp:
            lines += compare_runs(run).verdict
        if against is not None and against.valid and not run.plan.ramp and not against.plan.ramp:
            lines += compare_runs(run, against).verdict
    if run.plan.mode == "closed":
        lines.append("closed loop: users who wait send less while a service is slow, so its slow moments count less")
    return [*lines, *_missing(run)]


def _knee(run: MeasuredRun, service: Mapping[str, Any]) -> str:
    """Up to which rate more load buys more answers; "" where there are too few steps to tell."""
    own = [row for row in run.rows("step") if all(row[key] == service[key] for key in ("service", "workspace"))]
    steps = [(row["rate_reached"], row["p50"]) for row in own if row["rate_reached"] and row["p50"]]
    if len(steps) < STEPS:
        return ""
    rates, medians = [rate for rate, _ in steps], [median for _, median in steps]
    knee = find_knee(rates, medians)
    if knee is None:
        return f"{service['service']} has no knee up to {describe_rate(rates[-1])}: try higher rates"
    reached, median = describe_rate(rates[knee]), format_milliseconds(medians[knee])
    found = f"the knee of {service['service']} is at {reached}, p50 {median}"
    return f"{found}: beyond it more load buys more waiting than answers"


def _state(run: MeasuredRun) -> list[str]:
    invalid = [] if run.valid else [f"invalid: {run.invalid_reason}"]
    ending = [ENDINGS[run.ending.reason]] if run.ending.reason in ENDINGS else []
    return [*invalid, *([describe_left_out(run)] if run.left_out else []), *ending]


def describe_answered(row: Mapping[str, Any]) -> list[str]:
    """The percentiles of the requests that were answered well, where failed ones, which count, change what is shown."""
    names = [name for name in map(percentile_name, QUANTILES) if row.get(f"ok_{name}") is not None]
    if not names:
        few = "none" if row["errors"] >= row["requests"] else "too few"
        return [f"{row['service']}: {few} of its requests were answered well; the percentiles are of failed ones"]
    shown = list(dict.fromkeys((names[0], names[-1])))
    if all(format_milliseconds(row[f"ok_{name}"]) == format_milliseconds(row[name]) for name in shown):
        return []
    said = ", ".join(f"{name} {format_milliseconds(row[f'ok_{name}'])}" for name in shown)
    return [f"{row['service']}: without the failed requests {said}"]


def describe_left_out(run: MeasuredRun) -> str:
    """What the numbers are not made of, why, and what difference that makes."""
    blocks = run.left_out
    seconds, of = sum(block[4] for block in blocks), sum(block[4] for block in run.ending.blocks)
    times = [f"{block[3]:.0f}" for block in blocks[:LISTED_TIMES]]
    more = f" and {len(blocks) - LISTED_TIMES} more" if len(blocks) > LISTED_TIMES else ""
    is_one = f"{seconds:.3g}" == "1"
    repeated = of - seconds >= run.plan.seconds - 1e-6
    again = f" and {'was' if is_one else 'were'} measured again" if repeated else ""
    said = [
        f"{seconds:.3g} of {of:.3g} s {'is' if is_one else 'are'} left out (at {', '.join(times)} s{more}){again}: the "
        f"load's own process was late there, by up to {format_milliseconds(max(block[6] for block in blocks))}"
    ]
    for row, whole in zip(run.rows(), summarise(run.samples, run.plan), strict=False):
        known = [name for name in map(percentile_name, QUANTILES) if row[name] is not None and whole[name] is not None]
        if known and format_milliseconds(row[known[-1]]) != format_milliseconds(whole[known[-1]]):
            said.append(f"with them {row['service']} {known[-1]} would be {format_milliseconds(whole[known[-1]])}")
    return "; ".join(said)


def _missing(run: MeasuredRun) -> list[str]:
    """The first percentile for which a service has too few requests, once."""
    least = min(row["requests"] + row["dropped"] for row in run.rows())
    short = [quantile for quantile in QUANTILES if least < requests_needed(quantile)]
    return [describe_missing(short[0], least, run.rate)] if short else []


def describe_run(run: MeasuredRun, against: MeasuredRun | None = None) -> str:
    """The run as text for a terminal."""
    rows = run.rows()
    blocks: list[list[str]] = [[f"latency run {run.id}: {describe_plan(run)}"]]
    if rows:
        blocks[0].append("latencies are from when a request was due to the end of its answer")
        blocks.append(percentile_table(rows))
    steps = run.rows("step") if run.plan.ramp else []
    if steps:
        blocks[-1] = percentile_table(steps, "step")
    revisions = run.rows("revision") if any(len(row["revisions"]) > 1 for row in rows) else []
    if revisions:
        blocks.append(percentile_table(revisions, "revision"))
    blocks.append(sparklines(run.spectra()))
    blocks.append(parts_table(rows))
    blocks.append([f"* {line}" for line in make_verdict(run, against)])
    if run.notes:
        blocks.append([f"note: {note}" for note in run.notes])
    return "\n\n".join("\n".join(block) for block in blocks if block)


def describe_percentiles(run: MeasuredRun) -> str:
    """One line: "churn p50 1.92 ms, p99 8.04 ms"."""
    parts = []
    for row in run.rows():
        names = [percentile_name(quantile) for quantile in QUANTILES if row[percentile_name(quantile)] is not None]
        shown = [names[0], names[-1]] if len(names) > 1 else names
        parts.append(", ".join(f"{name} {format_milliseconds(row[name])}" for name in shown))
        parts[-1] = f"{row['service']} {parts[-1]}"
    return "; ".join(parts)
