"""The table of requests: name -> parameters and the function that answers. A new request is one line here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from mldeploy_jupyter.commands.errors import explain_damaged_files
from mldeploy_jupyter.core.errors import MldeployError
from mldeploy_jupyter.latency.limits import ARRIVALS, MAX_RATE, MAX_USERS
from mldeploy_jupyter.panel import code_samples, orders, scoring
from mldeploy_jupyter.panel.context import PanelContext
from mldeploy_jupyter.panel.deployments import log as deployment_log
from mldeploy_jupyter.panel.deployments import report, timelines
from mldeploy_jupyter.panel.failures import bad_request, describe_error
from mldeploy_jupyter.panel.forms import form_requests
from mldeploy_jupyter.panel.latency import runs as latency_runs
from mldeploy_jupyter.panel.lists import answers as lists
from mldeploy_jupyter.panel.parameters import (
    DEPLOYMENT,
    LATENCY_RUN,
    LOG,
    MODEL,
    SERVICE,
    SERVICE_NAME,
    WORKSPACE,
    Parameters,
    body,
    boolean,
    check_parameters,
    choice,
    integer,
    number,
    text,
    values,
)
from mldeploy_jupyter.panel.services import descriptions, revisions
from mldeploy_jupyter.panel.services import log as service_log

MAX_WORKERS = 1000  # processes of one service; a larger number is a mistake

MAX_LOAD_SECONDS = 24 * 3600.0

KEY = choice("primary", "secondary", "token", required=True)

LOAD = {
    "rate": number(0.001, MAX_RATE),
    "users": integer(1, MAX_USERS),
    "ramp": text(r"[0-9.:,]+", "must be FROM:TO:STEPS, rates in requests a second", limit=400),
    "arrivals": choice(*ARRIVALS),
    "duration": number(0.1, MAX_LOAD_SECONDS),
    "body": body(),
}

FORM = {**WORKSPACE, "service": SERVICE_NAME, "form": choice(*form_requests.FORMS, required=True)}

Answer = Callable[[PanelContext, dict[str, Any]], Any]


@dataclass(frozen=True)
class Request:
    """What a request takes, and the function that answers it with plain data or raises an error of ours."""

    parameters: Parameters
    answer: Answer


REQUESTS: dict[str, Request] = {
    "service.describe": Request(SERVICE, descriptions.answer_describe),
    "service.list": Request({**WORKSPACE, "all": boolean()}, descriptions.answer_list),
    "service.history": Request(SERVICE, revisions.answer_history),
    "service.events": Request(SERVICE, descriptions.answer_events),
    "service.keys": Request(SERVICE, orders.answer_keys),
    "service.openapi": Request(SERVICE, scoring.answer_openapi),
    "service.samples": Request(SERVICE, scoring.answer_samples),
    "service.score": Request({**SERVICE, "body": body(required=True)}, scoring.answer_score),
    "service.tests": Request(SERVICE, scoring.answer_tests),
    "service.code": Request({**SERVICE, "body": body()}, code_samples.answer_code),
    "service.log": Request({**SERVICE, **LOG}, service_log.answer_log),
    "service.logText": Request(SERVICE, service_log.answer_log_text),
    "deployment.timeline": Request(DEPLOYMENT, timelines.answer_timeline),
    "deployment.log": Request({**DEPLOYMENT, **LOG}, deployment_log.answer_log),
    "deployment.logText": Request(DEPLOYMENT, deployment_log.answer_log_text),
    "deployment.report": Request(DEPLOYMENT, report.answer_report),
    # Lists
    "service.cell": Request(SERVICE, lists.answer_service_cell),
    "model.list": Request({**WORKSPACE, "all": boolean()}, lists.answer_models),
    "model.cell": Request(MODEL, lists.answer_model_cell),
    "model.delete": Request({**MODEL, "confirm": text(required=True)}, lists.answer_delete_model),
    # Orders
    "service.scale": Request({**SERVICE, "workers": integer(1, MAX_WORKERS, required=True)}, orders.answer_scale),
    "service.rollback": Request({**SERVICE, "revision": integer(1)}, orders.answer_rollback),
    "service.reload": Request(SERVICE, orders.answer_reload),
    "service.restart": Request(SERVICE, orders.answer_restart),
    "service.stop": Request(SERVICE, orders.answer_stop),
    "service.start": Request(SERVICE, orders.answer_start),
    "service.delete": Request({**SERVICE, "confirm": text(required=True)}, orders.answer_delete),
    "service.regenKey": Request({**SERVICE, "key": KEY}, orders.answer_regenerate),
    "deployment.cancel": Request(DEPLOYMENT, orders.answer_cancel),
    "deployment.retry": Request(DEPLOYMENT, orders.answer_retry),
    # The latency lab
    "latency.start": Request({**SERVICE, **LOAD}, latency_runs.answer_start),
    "latency.stop": Request(LATENCY_RUN, latency_runs.answer_stop),
    "latency.runs": Request(SERVICE, latency_runs.answer_runs),
    "latency.result": Request(LATENCY_RUN, latency_runs.answer_result),
    # Forms
    "form.describe": Request(FORM, form_requests.answer_describe),
    "form.check": Request({**FORM, "values": values(required=True)}, form_requests.answer_check),
    "form.submit": Request({**FORM, "values": values(required=True)}, form_requests.answer_submit),
}


def handle(name: str, params: Any, context: PanelContext, requests: Mapping[str, Request] = REQUESTS) -> dict[str, Any]:
    """Answers one request: `{"ok": True, "result": ...}`, or `{"ok": False, "failure": ...}`. Never raises.

    It may take as long as the service takes to answer, so call it from a thread of its own.
    """
    try:
        request = requests.get(name) if isinstance(name, str) else None
        if request is None:
            raise bad_request("the request cannot be answered", f"there is none of the name {str(name)[:60]!r}")
        given = check_parameters(name, request.parameters, params)
        with explain_damaged_files():
            return {"ok": True, "result": request.answer(context, given)}
    except Exception as error:
        failure = describe_error(error, context)
        if not isinstance(error, MldeployError):
            _report_defect(name, error)
        return {"ok": False, "failure": failure}


def _report_defect(name: str, error: Exception) -> None:
    """Offers the traceback to the program's log. Not as an error: a kernel without a log prints those into the cell."""
    import logging

    logging.getLogger(__name__).info("%s failed", name, exc_info=error)
