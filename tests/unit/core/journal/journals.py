"""Journals of deployments in every state, as events."""

from __future__ import annotations

from mldeploy_jupyter.core.journal.journal import STAGES, Event

CAUSE = {
    "what": "init() could not read the model file",
    "why": "KeyError: 'coef_'. The file holds a Pipeline; its coefficients are in the last step",
    "hint": "load it with joblib and call predict, run the cell again, then deploy diabetes-regression again",
    "where": "cell [3] line 7, run at 14:03",
    "excerpt": [
        {"line": 6, "text": "    global coef", "guilty": False},
        {"line": 7, "text": "\tcoef = <1>", "guilty": True},
    ],
}
IMAGE_STAGES = [name for name in STAGES if name != "environment"]
NEEDED = ["check", "bundle", "environment", "rollout", "probe", "switch"]


class Writer:
    """Events with numbers and times of their own."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def at(self, moment: float, stage: str, kind: str, text: str = "", **data) -> Writer:
        minutes, rest = divmod(moment, 60)
        time = f"2025-06-12T14:{int(minutes):02d}:{rest:06.3f}Z"
        self.events.append(Event(len(self.events) + 1, time, stage, kind, text, data))
        return self

    def stage(self, begin: float, end: float, stage: str, detail: str = "") -> Writer:
        return self.at(begin, stage, "started").at(end, stage, "finished", detail, seconds=end - begin)


def begun(**more) -> Writer:
    data = {"service": "diabetes-regression", "target": "local", "revision": 3, "operation": "deploy", "stages": NEEDED}
    last = {"rollout": 4.0, "probe": 0.0123}
    return Writer().at(0, "", "state", "", state="running", last_seconds=last, **{**data, **more})


def running() -> Writer:
    w = (
        begun()
        .stage(0, 0.4, "check", "score.py, diabetes:7, schema from the sample")
        .stage(0.4, 1.6, "bundle", "14 files, 3.1 MB")
    )
    w.at(1.6, "environment", "started").at(2, "environment", "log", "Resolved \x1b[32m3\x1b[0m packages\x1b[2J")
    w.at(2.5, "environment", "log", "careful", level="warning")
    return w.at(9, "environment", "progress", "412 of 660 MB", fraction=0.62)


def live() -> Writer:
    w = (
        running()
        .at(84, "environment", "finished", "made anew", seconds=82.4)
        .stage(84, 88, "rollout", "1 worker, port 8890")
    )
    w.stage(88, 88.0094, "probe", "sample scored").stage(88.01, 88.06, "switch", "from revision 2")
    return w.at(
        88.1, "", "state", "", state="live", scoring_uri="http://127.0.0.1:8890/score", revision=3, seconds=88.1
    )


def building() -> Writer:
    w = begun(target="docker", stages=IMAGE_STAGES).at(1.6, "image", "started")
    w.at(2, "image", "progress", "Python environment", fraction=0.1, step="1/3 Python environment")
    w.at(3, "image", "log", "Installed 31 packages", step="1/3 Python environment")
    return w.at(8, "image", "progress", "model churn:3", fraction=0.6, step="2/3 model churn:3")


def failed() -> Writer:
    w = running().at(10, "environment", "failed", "init() raised KeyError", seconds=8.4)
    return w.at(10, "", "state", CAUSE["what"], state="failed", cause=CAUSE, seconds=10.0, serving=2)


JOURNALS = {
    "running": running(),
    "live": live(),
    "failed": failed(),
    "cancelled": running().at(12, "", "state", "the deployment was cancelled", state="cancelled", serving=2),
    "interrupted": running().at(12, "", "state", "the runner died", state="interrupted"),
    "updating": begun(operation="update").at(0.1, "check", "started"),
    "nothing yet": Writer(),
    "failed before any stage": begun().at(
        0.2, "", "failed", "no such model", cause={"what": "no such model", "hint": "register it"}
    ),
    "image": begun(target="docker", stages=IMAGE_STAGES),
    "building": building(),
}
