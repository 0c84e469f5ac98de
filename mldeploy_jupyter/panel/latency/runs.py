"""Runs of the latency lab that a view begins, stops and asks about."""

from __future__ import annotations

import json
from typing import Any

from mldeploy_jupyter.commands.latency_values import read_ramp
from mldeploy_jupyter.core.errors import UserErrorException
from mldeploy_jupyter.panel.context import PanelContext
from mldeploy_jupyter.panel.scoring import read_body
from mldeploy_jupyter.panel.services.descriptions import find_service

# What reads runs is imported by the functions: a first panel would wait for it, and few measure.

LOAD = ("rate", "users", "arrivals", "duration")  # parameters that are passed on unchanged


def answer_start(context: PanelContext, parameters: dict[str, Any]) -> dict[str, str]:
    """The answer to `latency.start`: begins a run in a process of its own, which continues without this one.

    Raises as `launch_latency` does, and `UserErrorException` while another run of the service is in progress.
    """
    from mldeploy_jupyter.api.webservices.latency.preparation import NoSample
    from mldeploy_jupyter.latency import saved
    from mldeploy_jupyter.panel.latency.launch import launch_latency

    service = find_service(context, parameters)
    for run in saved.list_runs(service.workspace.folder, service.name):
        if run.running:
            raise UserErrorException(
                f"{service.name} is being measured already",
                why="two runs at a time would measure each other",
                hint="stop that one, or wait for its end",
                code="in-progress",
            )
    given = {name: parameters[name] for name in LOAD if name in parameters}
    if "ramp" in parameters:
        given["ramp"] = read_ramp(parameters["ramp"])
    if "body" in parameters:
        given["payload"] = read_body(parameters["body"])[0]
    try:
        return {"run": launch_latency(service, **given)}
    except NoSample as error:
        error.hint = f"give JSON of your own as the payload, such as {json.dumps(error.example)}"
        raise


def answer_stop(context: PanelContext, parameters: dict[str, Any]) -> dict[str, str]:
    """The answer to `latency.stop`, whichever process carries the run out. What was measured is kept."""
    from mldeploy_jupyter.latency import saved

    run = saved.read_run(context.folder(parameters.get("workspace", "")), parameters["run"])
    if not run.running:
        return {"text": "It has ended"}
    saved.request_stop(run)
    return {"text": "It is being stopped"}


def answer_runs(context: PanelContext, parameters: dict[str, Any]) -> list[dict[str, Any]]:
    """The answer to `latency.runs`: those that the workspace keeps of the service, newest first."""
    from mldeploy_jupyter.latency.result import LatencyResult
    from mldeploy_jupyter.panel.latency.reports import describe_row

    service = find_service(context, parameters)
    return [describe_row(run, service.name) for run in LatencyResult.list(service.workspace, service.name)]


def answer_result(context: PanelContext, parameters: dict[str, Any]) -> dict[str, Any]:
    """The answer to `latency.result`. Raises `RunNotFound`."""
    from mldeploy_jupyter.latency.result import LatencyResult
    from mldeploy_jupyter.panel.latency.reports import describe_run

    workspace = context.workspace(parameters.get("workspace", ""))
    return describe_run(context, workspace, LatencyResult.load(workspace, parameters["run"]))
