"""The conformance suite for targets: tests over real services that every target must pass.

A package that provides a target subclasses `TargetConformance` in a test module and runs pytest:

    from mldeploy_jupyter.testing import TargetConformance

    class TestMyTarget(TargetConformance):
        def make_target(self, context):
            return MyTarget(context)

A target that runs images overrides `prepare`, which gets a plan with a bundle and returns it with what the target
needs besides. This module needs pytest; no other module of the package imports it.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mldeploy_jupyter.core import keys
from mldeploy_jupyter.core.bundle import builder
from mldeploy_jupyter.core.configs import DeployConfig
from mldeploy_jupyter.core.errors import DeploymentCancelled, ScoringError
from mldeploy_jupyter.core.records import DeploymentRequest, RevisionRecord, ServiceRecord
from mldeploy_jupyter.core.scoring_client import ScoringClient
from mldeploy_jupyter.deployment.plan import server_settings
from mldeploy_jupyter.targets import Endpoint, Plan, Strategy, Target, TargetContext, TargetFailure

GOOD = """
import json

def init():
    print("loading revision {answer}")

def run(data):
    return {{"answer": {answer}, "sent": json.loads(data)}}
"""
BROKEN = """
def init():
    raise RuntimeError("the model is not there")

def run(data):
    return data
"""
SLOW = """
import time

def init():
    time.sleep(600)

def run(data):
    return data
"""
SERVICE = "conformance"
WAIT_SECONDS = 60.0  # allowed for a service to reach a state


class Bench:
    """A service on the target under test, with helpers that bring up revisions and send requests."""

    def __init__(self, suite: TargetConformance, root: Path) -> None:
        self.suite = suite
        self.root = root
        self.context = TargetContext("conformance-workspace", root / "services")
        self.target: Target = suite.make_target(self.context)
        self.service = ServiceRecord(SERVICE, suite.target_name, "Local", workspace_id="conformance-workspace")
        self.events: list[tuple[str, str, str]] = []

    def plan(self, script: str, number: int) -> Plan:
        source = self.root / f"score-{number}.py"
        source.write_text(script)
        bundle = builder.build(builder.BundleContent("source", {"score.py": source}, "score.py"), self.root / "bundles")
        revision = RevisionRecord(SERVICE, number, bundle_digest=bundle.digest, deployment_id=f"deployment-{number}")
        config = DeployConfig().resolve()
        settings = server_settings(bundle, revision, config, python=sys.executable, variables={})
        request = DeploymentRequest(SERVICE, self.suite.target_name)
        plan = Plan(request, self.service, revision, bundle=bundle.path, python=sys.executable, settings=settings)
        return self.suite.prepare(replace(plan, config=config))

    def emit(self, stage: str, kind: str, text: str = "", **data: Any) -> None:
        self.events.append((stage, kind, text))

    def apply(self, script: str, number: int, cancel: Any = lambda: None) -> Endpoint:
        endpoint = self.target.apply(self.plan(script, number), Strategy(), self.emit, cancel)
        details = {"scoring_uri": endpoint.scoring_uri, "swagger_uri": endpoint.swagger_uri, **endpoint.details}
        self.service = replace(self.service, endpoint=details, revision=number)
        return endpoint

    def client(self) -> ScoringClient:
        return ScoringClient(self.service.endpoint["scoring_uri"], self.suite.key_of(self))

    def answer(self) -> Any:
        client = self.client()
        try:
            return client.run({"x": 1})["answer"]
        finally:
            client.close()

    def wait_for_state(self, state: str) -> None:
        end = time.monotonic() + WAIT_SECONDS
        while self.target.status(self.service).state != state:
            assert time.monotonic() < end, f"the state did not become {state}"
            time.sleep(0.05)


class TargetConformance:
    """Subclass it in a test module and implement `make_target`."""

    target_name = "local"

    def make_target(self, context: TargetContext) -> Target:
        raise NotImplementedError

    def prepare(self, plan: Plan) -> Plan:
        """Returns the plan with what the target needs besides a bundle, such as an image."""
        return plan

    def key_of(self, bench: Bench) -> Any:
        """A function that returns the service's key; by default it reads the file that local targets have."""

        def read() -> str:
            found = keys.read_keys(bench.context.services / SERVICE / "keys.json")
            return found.primary if found else ""

        return read

    @pytest.fixture
    def bench(self, tmp_path: Path) -> Iterator[Bench]:
        bench = Bench(self, tmp_path)
        yield bench
        bench.target.delete(bench.service, bench.emit)

    def test_a_service_that_was_never_deployed_is_absent(self, bench: Bench) -> None:
        assert bench.target.status(bench.service).state == "Absent"

    def test_apply_brings_up_a_service_that_answers(self, bench: Bench) -> None:
        bench.apply(GOOD.format(answer=1), 1)
        assert bench.answer() == 1
        status = bench.target.status(bench.service)
        assert (status.state, status.revision, status.deployment_id) == ("Live", 1, "deployment-1")
        assert status.endpoint is not None and status.endpoint.scoring_uri == bench.service.endpoint["scoring_uri"]

    def test_apply_opens_and_closes_its_stages_in_order(self, bench: Bench) -> None:
        bench.apply(GOOD.format(answer=1), 1)
        marks = [(stage, kind) for stage, kind, _ in bench.events if kind in ("started", "finished")]
        assert marks == [(s, k) for s in ("rollout", "probe", "switch") for k in ("started", "finished")]

    def test_a_request_without_a_key_is_refused(self, bench: Bench) -> None:
        bench.apply(GOOD.format(answer=1), 1)
        with pytest.raises(ScoringError) as error:
            ScoringClient(bench.service.endpoint["scoring_uri"], lambda: "").run({})
        assert error.value.status_code == 401

    def test_applying_the_same_revision_again_converges(self, bench: Bench) -> None:
        first = bench.apply(GOOD.format(answer=1), 1)
        second = bench.apply(GOOD.format(answer=1), 1)
        assert first.scoring_uri == second.scoring_uri
        assert bench.answer() == 1

    def test_an_update_fails_no_request_and_keeps_the_address(self, bench: Bench) -> None:
        first = bench.apply(GOOD.format(answer=1), 1)
        done, answers, failures = threading.Event(), [], []

        def load() -> None:
            client = bench.client()
            while not done.is_set():
                try:
                    answers.append(client.run({"x": 1})["answer"])
                except ScoringError as error:
                    failures.append(error)
            client.close()

        threads = [threading.Thread(target=load) for _ in range(3)]
        for thread in threads:
            thread.start()
        try:
            for number in (2, 3):
                assert bench.apply(GOOD.format(answer=number), number).scoring_uri == first.scoring_uri
                assert bench.answer() == number
        finally:
            done.set()
            for thread in threads:
                thread.join()
        assert failures == []
        assert {1, 2} <= set(answers) <= {1, 2, 3}

    def test_a_revision_that_fails_leaves_the_old_one_serving(self, bench: Bench) -> None:
        bench.apply(GOOD.format(answer=1), 1)
        with pytest.raises(TargetFailure) as failure:
            bench.apply(BROKEN, 2)
        assert failure.value.failure["exception"]["message"] == "the model is not there"
        assert bench.answer() == 1
        assert bench.target.status(bench.service).revision == 1

    def test_a_first_revision_that_fails_can_be_followed_by_a_good_one(self, bench: Bench) -> None:
        with pytest.raises(TargetFailure):
            bench.apply(BROKEN, 1)
        bench.apply(GOOD.format(answer=2), 2)
        assert bench.answer() == 2

    def test_cancelling_ends_the_new_revision_and_keeps_the_old(self, bench: Bench) -> None:
        bench.apply(GOOD.format(answer=1), 1)
        begun = threading.Event()

        def cancel() -> None:
            if any(stage == "rollout" and kind == "started" for stage, kind, _ in bench.events[-20:]):
                begun.set()
                raise DeploymentCancelled("cancelled by the test")

        bench.events.clear()
        with pytest.raises(DeploymentCancelled):
            bench.apply(SLOW, 2, cancel)
        assert begun.is_set()
        assert bench.answer() == 1

    def test_the_log_has_what_the_script_printed(self, bench: Bench) -> None:
        bench.apply(GOOD.format(answer=1), 1)
        lines = [line.text for line in bench.target.logs(bench.service, tail=None, follow=False)]
        assert any("loading revision 1" in line for line in lines)
        open_log = getattr(bench.target, "open_log", None)
        if open_log is None:  # its lines are numbered by their time
            return
        log = open_log(bench.service)
        log.refresh()
        entries = list(log.entries())
        numbers = [entry.number for entry in entries]
        assert [entry.text for entry in entries][: len(lines)] == lines
        assert numbers == sorted(set(numbers)) and numbers[0] == log.first <= log.last
        assert [entry.number for entry in log.entries(numbers[0])] == numbers[1:]

    def test_a_stopped_service_starts_again_with_its_revision(self, bench: Bench) -> None:
        if not bench.target.capabilities.stop:
            pytest.skip("the target cannot stop a service")
        bench.apply(GOOD.format(answer=1), 1)
        bench.target.control(bench.service, "stop", bench.emit)
        bench.wait_for_state("Stopped")
        bench.target.control(bench.service, "start", bench.emit)
        bench.wait_for_state("Live")
        status = bench.target.status(bench.service)
        assert status.endpoint is not None
        bench.service = replace(bench.service, endpoint={"scoring_uri": status.endpoint.scoring_uri})
        assert bench.answer() == 1

    def test_restarting_keeps_the_service_answering(self, bench: Bench) -> None:
        bench.apply(GOOD.format(answer=1), 1)
        bench.target.control(bench.service, "restart", bench.emit)
        assert bench.answer() == 1

    def test_a_new_target_object_finds_the_service(self, bench: Bench) -> None:
        bench.apply(GOOD.format(answer=1), 1)
        again = self.make_target(bench.context)
        assert [record.name for record in again.discover()] == [SERVICE]
        assert again.status(bench.service).state == "Live"

    def test_delete_leaves_nothing(self, bench: Bench) -> None:
        bench.apply(GOOD.format(answer=1), 1)
        bench.target.delete(bench.service, bench.emit)
        assert bench.target.status(bench.service).state == "Absent"
        assert list(bench.target.discover()) == []
        with pytest.raises(ScoringError):
            bench.client().run({})
        bench.target.delete(bench.service, bench.emit)  # deleting it again is not an error
