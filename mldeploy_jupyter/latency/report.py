"""The report of a run: its heading, tables, spectrum and verdict, as lines."""

from __future__ import annotations

from mldeploy_jupyter.latency.comparison import compare_runs
from mldeploy_jupyter.latency.measured_run import MeasuredRun
from mldeploy_jupyter.latency.statistics import QUANTILES, percentile_name, requests_needed
from mldeploy_jupyter.latency.text import describe_rate, describe_share, parts_table, percentile_table, sparklines
from mldeploy_jupyter.latency.verdict import describe_missing, format_milliseconds

SENT_SHARE = 0.98  # of the wanted rate; below it the report says that the services could not keep up

ENDINGS = {
    "cancelled": "the run was stopped before its end; this is what had been measured",
    "limit": "the run reached its limit of requests or time; this is what had been measured",
    "slept": "the machine slept during the run; it is cut there",
    "died": "every service died during the run; this is what had been measured",
    "running": "the run goes on; this is what has been measured",
    "interrupted": "the process that made the run ended; this is what had been measured",
}


def describe_plan(run: MeasuredRun) -> str:
    """How it was measured: "open loop, 100/s, constant arrivals, 10 s for each service"."""
    plan = run.plan
    loop = "open loop" if plan.mode == "open" else "closed loop"
    if plan.mode == "open":
        steps = ", ".join(describe_rate(step) for step in plan.ramp) if plan.ramp else describe_rate(run.rate)
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
        if row["dropped"]:
            all_of_them = row["dropped"] + row["requests"]
            lines.append(
                f"{row['service']}: {describe_share(row['dropped'], all_of_them)} of {all_of_them:,} requests were "
                f"never sent, because no connection was free in time"
            )
        wanted, reached = row["rate_wanted"], row["rate_reached"]
        if wanted and reached and reached < SENT_SHARE * wanted and not run.plan.ramp:
            lines.append(
                f"{row['service']} did not keep up: {describe_rate(reached)} of {describe_rate(wanted)} were answered"
            )
    if run.valid:
        if len(rows) > 1 and not run.plan.ramp:
            lines += compare_runs(run).verdict
        if against is not None and against.valid and not run.plan.ramp and not against.plan.ramp:
            lines += compare_runs(run, against).verdict
    if run.plan.mode == "closed":
        lines.append("closed loop: users who wait send less while a service is slow, so its slow moments count less")
    return [*lines, *_missing(run)]


def _state(run: MeasuredRun) -> list[str]:
    invalid = [] if run.valid else [f"invalid: {run.invalid_reason}"]
    return invalid + ([ENDINGS[run.ending.reason]] if run.ending.reason in ENDINGS else [])


def _missing(run: MeasuredRun) -> list[str]:
    """The first percentile for which a service has too few requests, once."""
    least = min(row["requests"] + row["dropped"] for row in run.rows())
    short = [quantile for quantile in QUANTILES if least < requests_needed(quantile)]
    return [describe_missing(short[0], least)] if short else []


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
