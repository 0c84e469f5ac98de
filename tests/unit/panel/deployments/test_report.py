"""The report of a deployment: Markdown that may be pasted anywhere."""

from __future__ import annotations

from syrupy.assertion import SnapshotAssertion

from mldeploy_jupyter.core.keys import ServiceKeys, write_keys
from tests.unit.panel.conftest import Site


def test_a_report(site: Site, snapshot: SnapshotAssertion) -> None:
    journal = site.begin()
    journal.write("check", "started")
    journal.write("check", "finished", "1 model | a <b>", seconds=0.4)
    journal.write("rollout", "started")
    site.clock.seconds += 1.25
    journal.write("rollout", "log", "\x1b[31mred\x1b[0m and ``` a fence")
    journal.write("rollout", "failed", "init() failed", seconds=1.5)
    excerpt = [{"line": 1, "text": "def init():", "guilty": False}, {"line": 2, "text": "    fail()", "guilty": True}]
    words = {"what": "init() failed", "why": "KeyError: '*'", "hint": "mend it", "where": "score.py line 2"}
    cause = {"code": "x", **words, "excerpt": excerpt}
    site.end(journal, "failed", cause=cause, seconds=2.0)
    found = site.ask("deployment.report", deployment="d1")["markdown"]
    lines = [line for line in found.split("\n") if not line.startswith(("| mldeploy", "| System"))]
    assert lines == snapshot


def test_it_has_the_last_two_hundred_lines(site: Site) -> None:
    journal = site.begin()
    for number in range(300):
        journal.write("rollout", "log", f"line {number}")
    site.end(journal, "live")
    found = site.ask("deployment.report", deployment="d1")["markdown"]
    assert "The last 200 of 300 lines of the log:" in found
    assert "line 100\n" in found and "line 99\n" not in found


def test_it_has_no_keys_and_no_values_of_variables(site: Site) -> None:
    keys = site.folder.services / "churn" / "keys.json"
    keys.parent.mkdir(parents=True)
    write_keys(keys, ServiceKeys("primary_key*1", "secondary-2", "token-3"))
    passed = {"environment_variables": {"PASSWORD": "hunter2-hunter2", "DEBUG": "1"}}
    environment = {"environment": {"environment_variables": {"TOKEN": "abcd-efgh"}}}
    journal = site.begin(deploy_config={"compute_type": "Local", "passed": passed}, inference_config=environment)
    for secret in ("primary_key*1", "secondary-2", "token-3", "hunter2-hunter2", "abcd-efgh"):
        journal.write("rollout", "log", f"the script printed {secret}.")
        journal.write("rollout", "progress", secret)
    cause = {"code": "x", "what": "init() raised", "why": "no access with primary_key*1", "hint": ""}
    site.end(journal, "failed", cause=cause)
    found = site.ask("deployment.report", deployment="d1")["markdown"]
    for secret in ("primary", "secondary-2", "token-3", "hunter2", "abcd-efgh"):
        assert secret not in found
    assert found.count("the script printed ***.") == 5 and "no access with \\*\\*\\*" not in found
