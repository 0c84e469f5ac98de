"""The table of requests: strict about what it is given, and never an exception."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mldeploy_jupyter.core.records import ServiceRecord
from mldeploy_jupyter.notebook.wording import in_notebook_words
from mldeploy_jupyter.panel import REQUESTS, PanelContext, handle
from mldeploy_jupyter.panel.requests import Request

from .conftest import Site
from .protocol import check_failure

WRONG: list[tuple[str, Any, str]] = [
    ("service.describe", None, "its parameters must be an object"),
    ("service.describe", [], "its parameters must be an object"),
    ("service.describe", {}, "it needs the parameter service"),
    ("service.describe", {"service": 5}, "service is 5; it must be a text"),
    ("service.describe", {"service": "../../etc"}, "must have 3 to 32 characters"),
    ("service.describe", {"service": "churn\n"}, "must have 3 to 32 characters"),
    ("service.describe", {"service": "churn", "x": 1}, "it has no parameter 'x'"),
    ("service.describe", {"service": "churn", "workspace": "../.."}, "must be the id of a workspace"),
    ("service.scale", {"service": "churn", "workers": 0}, "must be an integer from 1 to 1000"),
    ("service.scale", {"service": "churn", "workers": True}, "must be an integer from 1 to 1000"),
    ("service.scale", {"service": "churn", "workers": 2.0}, "must be an integer from 1 to 1000"),
    ("service.scale", {"service": "churn"}, "it needs the parameter workers"),
    ("service.regenKey", {"service": "churn", "key": "Primary"}, "must be one of primary, secondary, token"),
    ("service.log", {"service": "churn", "limit": 10**9}, "must be an integer from 1 to 10000"),
    ("service.log", {"service": "churn", "search": "x" * 1001}, "must have at most 1000 characters"),
    ("service.log", {"service": "churn", "level": "fatal"}, "must be one of warning, error"),
    ("deployment.log", {"deployment": "d1", "after": -1}, "must be an integer from 0 to"),
    ("deployment.timeline", {"deployment": "a/b"}, "must be the id of a deployment"),
    ("service.list", {"all": "yes"}, "must be true or false"),
]


@pytest.mark.parametrize(("name", "params", "text"), WRONG)
def test_what_a_view_never_sends_is_refused(name: str, params: Any, text: str) -> None:
    answer = handle(name, params, PanelContext())
    check_failure(answer["failure"])
    assert answer["failure"]["code"] == "bad-request" and text in answer["failure"]["cause"]


@pytest.mark.parametrize("name", ["nope", "", None, 5, "service.describe.x"])
def test_an_unknown_request_is_refused(name: Any) -> None:
    assert handle(name, {}, PanelContext())["failure"]["code"] == "bad-request"


def test_null_counts_as_not_given(site: Site) -> None:
    assert site.ask("service.list", workspace=None, all=None) == []


def test_a_defect_is_a_failure_with_the_exceptions_text(site: Site, capfd: pytest.CaptureFixture[str]) -> None:
    def fail(context: PanelContext, params: dict[str, Any]) -> None:
        raise ZeroDivisionError("division by zero")

    answer = handle("service.list", {}, site.context, {"service.list": Request({}, fail)})
    check_failure(answer["failure"])
    assert (answer["ok"], answer["failure"]["code"]) == (False, "internal")
    assert answer["failure"]["cause"] == "ZeroDivisionError: division by zero"
    assert capfd.readouterr() == ("", "")  # a kernel would show it below the cell


def test_our_errors_have_the_words_of_the_place(site: Site) -> None:
    site.context.words = in_notebook_words
    site.store.save_service(ServiceRecord("zebra"))
    failure = site.refuse("service.describe", service="churn")
    assert failure["code"] == "not-found"
    assert failure["error"] == "there is no service 'churn' in the workspace home"
    assert failure["hint"] == "see every workspace's with `%mldeploy service list --all`"


def test_a_workspace_is_named_by_its_id(site: Site) -> None:
    assert site.ask("service.list", workspace=site.folder.id) == []
    failure = site.refuse("service.list", workspace="0000")
    assert failure["code"] == "not-found" and failure["error"] == "there is no workspace with the id 0000"
    elsewhere = PanelContext()  # bound to none: the known ones can be named
    assert handle("service.list", {"workspace": site.folder.id}, elsewhere)["ok"]
    assert handle("service.list", {}, elsewhere)["failure"]["code"] == "not-found"


def test_every_answer_is_json(site: Site) -> None:
    journal = site.begin()
    site.end(journal, "live")
    reads = (".describe", ".list", ".history", ".timeline", ".log", ".logText", ".report")
    for name in REQUESTS:
        room = name.partition(".")[0]
        if name.endswith(reads) and room in ("service", "deployment"):
            given = {"service": "churn"} if room == "service" else {"deployment": "d1"}
            json.dumps(site.ask(name, **({} if name == "service.list" else given)), allow_nan=False)
