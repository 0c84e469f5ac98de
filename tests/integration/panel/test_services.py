"""A service through the panel: deployed, scored, scaled, rolled back, stopped, started, deleted."""

from __future__ import annotations

from typing import Any

from mldeploy_jupyter import InferenceConfig
from tests.integration.deployment.conftest import BROKEN, SLOW, live
from tests.polling import wait_until

from .conftest import Panel


def texts(events: list[dict[str, Any]]) -> list[str]:
    return [line["text"] for event in events for line in event.get("lines", [])]


def test_a_service_from_its_deployment_to_its_end(panel: Panel) -> None:
    service = panel.site.deploy()
    timeline = panel.until_ended(service.deployment_id)
    assert (timeline["state"], timeline["revision"], timeline["serving"]) == ("live", 1, 1)
    assert {stage["state"] for stage in timeline["stages"]} == {"done", "not-needed"}
    assert "init of 1" in texts(panel.events["deployment"][0])

    rows, log = panel.watch("service", service="svc"), panel.watch("serviceLog", service="svc")
    found = panel.ask("service.describe", service="svc")
    assert (found["state"], found["health"]["state"], found["auth"], found["workers"]) == ("live", "healthy", "key", 1)
    assert found["can"] == [
        "test", "keys", "regen-key", "update", "scale", "reload", "restart", "stop", "delete",
    ]  # fmt: skip
    assert found["tabs"] == ["test", "logs", "latency", "api", "code", "history", "settings"]
    wait_until(lambda: any("init of 1" in text for text in texts(log)))
    assert service.run({})["answer"] == 1
    wait_until(lambda: any("POST /score 200" in text for text in texts(log)), what=lambda: str(texts(log)))
    page = panel.ask("service.log", service="svc", search="post /score")
    assert [line["source"].partition(" ")[0] for line in page["lines"]] == ["worker"] and page["total"] == 1
    number = page["lines"][0]["n"]
    assert [n["n"] for event in log for n in event["lines"] if n["text"].startswith("POST")] == [number]

    begun = panel.ask("service.scale", service="svc", workers=2)
    assert panel.until_ended(begun["deployment"])["state"] == "live"
    assert panel.ask("service.describe", service="svc")["workers"] == 2
    history = panel.ask("service.history", service="svc")
    assert [(each["number"], each["outcome"]) for each in history] == [(2, "serving"), (1, "kept")]
    assert history[0]["changed"] == ["workers 1 → 2"]
    wait_until(lambda: rows[-1]["service"]["revision"] == 2)

    begun = panel.ask("service.rollback", service="svc")
    assert panel.until_ended(begun["deployment"])["state"] == "live"
    assert panel.ask("service.history", service="svc")[0]["changed"][0] == "revision 1 again"

    keys = panel.ask("service.keys", service="svc")
    panel.ask("service.regenKey", service="svc", key="secondary")
    assert panel.ask("service.keys", service="svc")["primary"] == keys["primary"]
    assert panel.ask("service.keys", service="svc")["secondary"] != keys["secondary"]

    assert panel.ask("service.restart", service="svc")["text"].startswith("Restarted svc")
    assert panel.ask("service.stop", service="svc")["text"].startswith("Stopped svc.")
    wait_until(lambda: rows[-1]["service"]["state"] == "stopped")
    assert "start" in rows[-1]["service"]["can"] and "stop" not in rows[-1]["service"]["can"]
    assert panel.ask("service.start", service="svc")["text"] == "Started svc."
    wait_until(lambda: rows[-1]["service"]["state"] == "live")

    refused = panel.refuse("service.delete", service="svc", confirm="other")
    assert refused["field"] == "confirm" and panel.site.processes()
    assert panel.ask("service.delete", service="svc", confirm="svc")["left"] == []
    wait_until(lambda: rows[-1]["service"]["state"] == "deleted")
    assert panel.refuse("service.describe", service="svc")["code"] == "not-found"


def test_a_failed_deployment_names_the_line_and_can_be_tried_again(panel: Panel) -> None:
    panel.site.write(BROKEN)
    timeline = panel.until_ended(panel.site.deploy().deployment_id)
    assert (timeline["state"], timeline["can"]) == ("failed", ["retry", "report"])
    where = timeline["cause"]["where"]
    assert (where["text"], where["file"], where["line"], where["cell"]) == (
        "in init() of score.py",
        "score.py",
        2,
        None,
    )
    assert [line["line"] for line in where["excerpt"] if line["guilty"]] == [2]
    report = panel.ask("deployment.report", deployment=timeline["deployment"])["markdown"]
    assert report.startswith("## svc: Failed in Roll out") and "no such thing" in report
    assert panel.ask("service.describe", service="svc")["can"] == ["delete"]

    panel.site.script(7)
    begun = panel.ask("deployment.retry", deployment=timeline["deployment"])
    assert panel.until_ended(begun["deployment"])["state"] == "live"
    refused = panel.refuse("deployment.retry", deployment=timeline["deployment"])
    assert refused["cause"] == "svc was deployed again since"


def test_a_deployment_is_cancelled_by_its_id(panel: Panel) -> None:
    service = live(panel.site)
    first = service.deployment_id
    panel.site.write(SLOW)
    service.update(inference_config=InferenceConfig(entry_script=str(panel.site.folder / "score.py")))
    events = panel.watch("deployment", deployment=service.deployment_id)
    rollout = lambda: [event["timeline"]["stages"][4]["state"] for event in events if "timeline" in event]  # noqa: E731
    wait_until(lambda: "running" in rollout())
    assert panel.ask("service.describe", service="svc")["state"] == "updating"
    assert panel.ask("deployment.cancel", deployment=first)["cancelled"] is False
    assert panel.refuse("service.rollback", service="svc")["code"] in ("in-progress", "webservice-error")
    assert panel.ask("deployment.cancel", deployment=service.deployment_id)["cancelled"] is True
    timeline = panel.until_ended(service.deployment_id)
    assert (timeline["state"], timeline["serving"]) == ("cancelled", 1)
    assert "Revision 1 keeps serving." in timeline["message"]
