"""A deployment as data: states, stages, messages, and journals that are old, lost or another machine's."""

from __future__ import annotations

from mldeploy_jupyter.core import process_identity
from mldeploy_jupyter.core.records import DeploymentRecord
from mldeploy_jupyter.deployment import journal_path
from tests.unit.panel.conftest import Site


def test_a_running_deployment_has_all_stages_and_can_be_cancelled(site: Site) -> None:
    journal = site.begin()
    site.clock.seconds += 1.5
    journal.write("check", "started")
    journal.write("check", "finished", "1 model", seconds=0.4)
    journal.write("bundle", "started")
    journal.write("bundle", "log", "Resolved 3 packages")
    journal.write("bundle", "log", "careful", level="warning")
    site.clock.seconds += 0.5
    found = site.ask("deployment.timeline", deployment="d1")
    assert (found["state"], found["service"], found["revision"], found["serving"]) == ("deploying", "churn", 1, 0)
    assert (found["targetTitle"], found["can"], found["elapsedSeconds"]) == ("This machine", ["cancel"], 2.0)
    assert [stage["id"] for stage in found["stages"]] == [
        "check", "bundle", "environment", "push", "rollout", "probe", "switch",
    ]  # fmt: skip
    assert [stage["state"] for stage in found["stages"]] == [
        "done",
        "running",
        "waiting",
        "not-needed",
        *3 * ["waiting"],
    ]
    bundle = found["stages"][1]
    assert (bundle["seconds"], bundle["lines"], bundle["warnings"], bundle["detail"]) == (0.5, 2, 1, "careful")
    assert (found["lines"], found["warnings"], found["workspace"]) == (2, 1, site.folder.id)


def test_the_end_is_told_in_words(site: Site) -> None:
    first = site.begin()
    site.end(first, "live", scoring_uri="http://127.0.0.1:1/score", seconds=3.0)
    live = site.ask("deployment.timeline", deployment="d1")
    assert (live["state"], live["serving"], live["message"], live["can"]) == ("live", 1, "", ["report"])
    second = site.begin("d2", operation="update")
    assert site.ask("deployment.timeline", deployment="d2")["serving"] == 1
    second.write("rollout", "started")
    site.end(second, "cancelled", "d2", serving=1)
    found = site.ask("deployment.timeline", deployment="d2")
    assert found["message"] == (
        "It was cancelled at 12:00 in Roll out. Revision 1 keeps serving. What was made is used again next time."
    )
    assert found["can"] == ["retry", "report"]
    site.begin("d3", operation="update").close()
    assert site.ask("deployment.timeline", deployment="d2")["can"] == ["report"]


def test_a_dead_runner_is_found_by_the_read(site: Site) -> None:
    journal = site.begin()
    journal.write("rollout", "started")
    site.store.update_deployment("d1", runner={**process_identity.identify_process(), "started": "0"})
    found = site.ask("deployment.timeline", deployment="d1")
    assert found["state"] == "interrupted"
    assert "in Roll out without finishing" in found["message"] and "Nothing serves." in found["message"]


def test_an_archived_journal_is_read_where_the_file_is_gone(site: Site) -> None:
    journal = site.begin()
    journal.write("check", "started")
    journal.write("check", "finished", "1 model", seconds=0.4)
    site.end(journal, "live", seconds=3.0)
    before = site.ask("deployment.timeline", deployment="d1")
    path = journal_path(site.folder, "d1")
    site.folder.open_artifacts().put_bytes("journals/d1.jsonl", path.read_bytes())
    path.unlink()
    assert site.ask("deployment.timeline", deployment="d1") == before


def test_without_any_journal_the_record_tells_the_end(site: Site) -> None:
    record = DeploymentRecord("d9", "churn", state="cancelled", created_time=site.clock.stamp(), revision=4)
    site.store.add_deployment(record)
    found = site.ask("deployment.timeline", deployment="d9")
    assert (found["state"], found["revision"], found["lines"]) == ("cancelled", 4, 0)


def test_a_deployment_that_could_not_be_started_says_why(site: Site) -> None:
    cause = {"what": "the disk is full"}
    site.store.add_deployment(DeploymentRecord("d9", "churn", state="failed", cause=cause))
    found = site.ask("deployment.timeline", deployment="d9")
    assert (found["state"], found["message"], found["cause"]) == ("not-started", "the disk is full", None)


def test_an_unknown_deployment_is_a_failure(site: Site) -> None:
    failure = site.refuse("deployment.timeline", deployment="nope")
    assert failure["code"] == "not-found" and failure["error"] == "there is no deployment nope"
