"""A service as data."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mldeploy_jupyter.api.webservices import Webservice
from mldeploy_jupyter.api.webservices.details import REVISION_KEYS, format_log_line, last_lines, require_record
from mldeploy_jupyter.api.workspace import Workspace
from mldeploy_jupyter.core.configs import DeployConfig
from mldeploy_jupyter.core.errors import WebserviceNotFound
from mldeploy_jupyter.core.records import RevisionRecord
from mldeploy_jupyter.targets import LogLine


def test_serialize_has_the_settings_with_defaults_and_no_secret(ws: Workspace) -> None:
    config = DeployConfig("Local", {"scoring_timeout_ms": 5, "environment_variables": {"A": "hunter2"}})
    store = ws.folder.open_store()
    environment = {"kind": "current", "imported": {"/lib/numpy/__init__.py": [1, 2, 3, ""]}, "pins": ["numpy==2.4.6"]}
    revision = RevisionRecord(
        service="on-local", deploy_config=config.to_dict(), environment=environment, outcome="live"
    )
    store.add_revision(revision)
    store.update_service("on-local", revision=2)
    data = Webservice(ws, "on-local").serialize()
    assert (data["workspaceName"], data["computeType"], data["revision"]) == ("test", "Local", 2)
    assert data["settings"]["scoring_timeout_ms"] == 5 and data["settings"]["init_timeout"] > 0
    assert data["environment"] == {"kind": "current", "pins": ["numpy==2.4.6"]}
    assert "hunter2" not in str(data) and not {"primary_key", "port", "auth_enabled", "tags"} & set(data["settings"])


def test_serialize_before_the_first_revision_is_live(ws: Workspace) -> None:
    ws.folder.open_store().update_service("on-local", revision=0)
    data = Webservice(ws, "on-local").serialize()
    assert (data["models"], data["settings"], data["environment"], data["state"]) == ([], None, None, "Failed")


def test_revisions_are_listed_newest_first(ws: Workspace) -> None:
    ws.folder.open_store().add_revision(RevisionRecord(service="on-local", outcome="failed"))
    revisions = Webservice(ws, "on-local").revisions
    assert [(revision["number"], revision["outcome"]) for revision in revisions] == [(2, "failed"), (1, "live")]
    assert all(tuple(revision) == REVISION_KEYS for revision in revisions)


def test_a_missing_service_suggests_the_nearest_name(ws: Workspace) -> None:
    with pytest.raises(WebserviceNotFound) as caught:
        require_record(ws, "on-loca")
    assert caught.value.hint == "did you mean 'on-local'?"
    assert caught.value.why == "its services are: on-aci, on-aks, on-aksendpoint, on-local"


def test_a_log_entry_has_its_time_source_and_request_once() -> None:
    request = "30ce33ef-d48e-4625-9073-136d0000000d"
    line = LogLine("2026-11-26T13:42:24.506Z", "r1 16037", f"[{request}] a\n[{request}] b", request_ids=(request,))
    assert format_log_line(line, today="2026-11-26") == "13:42:24Z r1 136d0000000d a\n    b"
    assert format_log_line(line, today="2026-11-27") == "11-26 13:42:24Z r1 136d0000000d a\n    b"
    every = format_log_line(line, timestamps=True).split("\n")
    assert every == [f"{line.time} [r1 16037] [{request}] {text}" for text in "ab"]
    several = replace(line, text="[me +1] a", request_ids=("me", "you"))
    assert format_log_line(several, today="2026-11-26") == "13:42:24Z r1 me a"
    forged = replace(line, text="['a b\\x85'] a", request_ids=("a b\x85",))
    assert format_log_line(forged, today="2026-11-26") == "13:42:24Z r1 'a b\\x85' a"
    assert format_log_line(LogLine(time="", source="raw", text="a\nb")) == "a\nb"


@pytest.mark.parametrize(
    ("count", "entry", "entries", "cut"),
    [
        (0, None, 0, 0),
        (1, "c", 1, 0),
        (2, "b1", 2, 2),
        (3, "b1", 2, 1),
        (4, "b1", 2, 0),
        (5, "a", 3, 0),
        (9, None, 3, 0),
    ],
)
def test_the_last_lines_may_begin_within_an_entry(count: int, entry: str | None, entries: int, cut: int) -> None:
    log = [LogLine("", "", text) for text in ("a", "b1\nb2\nb3", "c")]
    first, *rest = last_lines(log[len(log) - min(count, len(log)) :], count)
    assert (first and first.text.split("\n")[0], rest) == (entry, [entries, cut])
