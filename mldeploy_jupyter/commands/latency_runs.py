"""Latency runs that are kept: `mldeploy latency list`, `show` and `compare`, and a run as data for `--json`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mldeploy_jupyter.commands.errors import UsageError
from mldeploy_jupyter.commands.formatting import table
from mldeploy_jupyter.commands.grammar import Args, Context, Result
from mldeploy_jupyter.commands.python_code import call, program
from mldeploy_jupyter.core.text import printable_line

if TYPE_CHECKING:
    from mldeploy_jupyter.latency.result import LatencyResult

LIST_HEAD = ("RUN", "BEGUN", "SERVICES", "LOAD", "REQUESTS", "p50", "p95", "p99", "STATE")


def as_data(result: LatencyResult, before: LatencyResult | None = None) -> dict[str, Any]:
    """The result for `--json`: everything but the samples."""
    data = {
        **result.to_dict(),
        "valid": result.valid,
        "invalidReason": result.invalid_reason,
        "leftOutSeconds": round(sum(block[4] for block in result.left_out), 3),
        "services": result.rows(),
        "verdict": result.judge(before),
        "comparedWith": before.id if before is not None else None,
    }
    if result.plan.ramp is not None:
        data["steps"] = result.rows("step")
    if any(len(row["revisions"]) > 1 for row in result.rows()):
        data["revisions"] = result.rows("revision")
    return data


def list_runs(context: Context, args: Args) -> Result:
    from mldeploy_jupyter.latency.result import LatencyResult

    runs = LatencyResult.list(context.workspace(args.path), args.name)
    rows = [list_row(run) for run in runs]
    empty = f"No runs of {printable_line(args.name)}." if args.name else "No runs."
    text = table(rows, LIST_HEAD) if rows else f"{empty} Measure a service with: mldeploy latency NAME"
    data = [as_list_data(run) for run in runs]
    return Result(runs, text, data, call("LatencyResult.list", "ws", service=args.name))


def as_list_data(run: LatencyResult) -> dict[str, Any]:
    """One run for a list, without its samples."""
    return {
        "id": run.id,
        "begun": run.begun,
        "services": [service.name for service in run.plan.services],
        "rate": run.rate,
        "users": run.plan.users,
        "duration": run.plan.duration,
        "valid": run.valid,
        "reason": run.ending.reason,
        "rows": run.rows(),
    }


def list_row(run: LatencyResult) -> list[str]:
    """The cells of a run in the columns of `LIST_HEAD`."""
    from mldeploy_jupyter.latency.text import describe_rate
    from mldeploy_jupyter.latency.verdict import format_milliseconds

    rows = run.rows()
    load = "ramp" if run.plan.ramp else f"{run.plan.users} users" if run.plan.users else describe_rate(run.rate)
    one = rows[0] if len(rows) == 1 else None
    percentiles = [format_milliseconds(one[name]) if one else "-" for name in ("p50", "p95", "p99")]
    state = run.ending.reason if run.valid else "invalid"
    names = ", ".join(service.name for service in run.plan.services)
    count = f"{sum(row['requests'] for row in rows):,}"
    return [run.id, f"{run.begun[:16].replace('T', ' ')} UTC", names, load, count, *percentiles, state]


def show_run(context: Context, args: Args) -> Result:
    from mldeploy_jupyter.latency.report import describe_run
    from mldeploy_jupyter.latency.result import LatencyResult

    workspace = context.workspace(args.path)
    run = LatencyResult.load(workspace, args.run) if args.run else _newest(workspace)
    before = run.find_previous(workspace)
    python = f"print({call('LatencyResult.load', 'ws', repr(run.id))})"
    return Result(run, describe_run(run, before), as_data(run, before), python)


def compare_runs(context: Context, args: Args) -> Result:
    from mldeploy_jupyter.latency.result import LatencyResult

    workspace = context.workspace(args.path)
    run = LatencyResult.load(workspace, args.run)
    other = LatencyResult.load(workspace, args.other) if args.other else run.find_previous(workspace)
    if other is None:
        raise UsageError(
            f"there is no earlier run to compare {run.id} with",
            why="runs of the same services, with the same kind of load, are compared",
            hint=f"name one: mldeploy latency compare {run.id} RUN; mldeploy latency list shows them",
        )
    compared = run.compare(other)
    head, cells = compared.table()
    lines = [] if run.valid and other.valid else ["* invalid: one of the runs was sent late, so this is inconclusive"]
    lines += [f"* {line}" for line in compared.verdict]
    shown = [table(cells, head)] if cells else []
    text = "\n\n".join([f"{run.id} against {other.id}", *shown, "\n".join(lines)])
    data = {
        "run": run.id,
        "other": other.id,
        "valid": run.valid and other.valid,
        "rows": compared.rows(),
        "verdict": compared.verdict,
    }
    lines = [f"{name} = {call('LatencyResult.load', 'ws', repr(each.id))}" for name, each in (("a", run), ("b", other))]
    return Result(compared, text, data, program(*lines, "print(a.compare(b))"))


def _newest(workspace: Any) -> LatencyResult:
    from mldeploy_jupyter.latency.result import LatencyResult

    runs = LatencyResult.list(workspace)
    if not runs:
        raise UsageError(
            "there is no latency run", why="the workspace keeps none", hint="measure one: mldeploy latency NAME"
        )
    return runs[0]
