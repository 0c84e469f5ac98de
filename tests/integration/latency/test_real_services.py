"""Runs against services of a workspace: what they say of themselves, and what happens to them in the middle."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mldeploy_jupyter import Webservice
from mldeploy_jupyter.core.errors import ScoringError
from mldeploy_jupyter.latency.measuring import Ending, Endpoint, Measurement, start_measurement
from mldeploy_jupyter.latency.payloads import call_function, describe
from mldeploy_jupyter.latency.plan import LatencyPlan, PlannedService
from mldeploy_jupyter.latency.recording import Outcome, Phase, read_samples
from tests.integration.deployment.conftest import Site, live, update
from tests.polling import wait_until

SLEEPING = "import time\n\ndef init():\n    pass\n\ndef run(data):\n    time.sleep(0.02)\n    return 1\n"


def find(service: Webservice) -> Endpoint:
    """As the API does: nothing is sent to an address that is not proven to be the service's."""
    uri = service.scoring_uri
    if refused := service._refuse_endpoint(uri):
        raise ScoringError("nothing was sent", why=refused)
    return Endpoint(uri, service._credential())


def begin(service: Webservice, samples: Path, **settings: object) -> Measurement:
    payloads = call_function(lambda number: {"n": number}, 50)
    planned = PlannedService(service.name, service.scoring_uri, revision=service.revision, cold=True)
    plan = LatencyPlan(
        (planned,), payload=describe(payloads, "function"), **{"rate": 50.0, "duration": 3.0, **settings}
    )
    return start_measurement(plan, payloads, samples, lambda index: find(service))


def wait_for_requests(measurement: Measurement, count: int) -> None:
    wait_until(lambda: len(read_samples(measurement.samples)) >= count, what=f"{count} samples")


def kinds(ending: Ending) -> list[str]:
    return [note["kind"] for note in ending.notes]


def test_a_service_says_where_the_time_goes_and_which_revision_answers(site: Site, tmp_path: Path) -> None:
    site.write(SLEEPING)
    service = live(site)
    ending = begin(service, tmp_path / "samples").wait()
    samples = read_samples(tmp_path / "samples")
    measured = samples[samples["phase"] == Phase.MEASURED]
    assert ending.reason == "finished" and (samples["outcome"] == Outcome.OK).all() and kinds(ending) == []
    assert len(measured) == 150 and (samples["phase"] == Phase.COLD_START).sum() == 1
    assert (samples["revision"] == 1).all() and (samples["status"] == 200).all()
    assert (measured["run"] >= 20).all()
    service_time = (measured["done"] - measured["sent"]) * 1000
    parts = sum(measured[name].astype(float) for name in ("queue", "parse", "run", "serialise"))
    assert (parts <= service_time + 0.1).all()


@pytest.mark.parametrize("auth", [True, False])
def test_a_key_is_sent_only_where_one_is_needed(site: Site, tmp_path: Path, auth: bool) -> None:
    service = live(site, auth_enabled=auth)
    begin(service, tmp_path / "samples", duration=0.5).wait()
    assert (read_samples(tmp_path / "samples")["outcome"] == Outcome.OK).all()
    assert bool(find(service).key) == auth


def test_a_key_that_is_regenerated_in_the_middle_is_fetched_and_reported(site: Site, tmp_path: Path) -> None:
    service = live(site, auth_enabled=True)
    measurement = begin(service, tmp_path / "samples", duration=600.0)
    wait_for_requests(measurement, 60)
    service.regen_key("Primary")

    def is_measured_on() -> bool:
        outcome = read_samples(measurement.samples)["outcome"]
        return bool((outcome == Outcome.UNAUTHORISED).any() and (outcome[-20:] == Outcome.OK).all())

    wait_until(lambda: is_measured_on() or not measurement.running, what="the new key to be used")
    ending = measurement.stop()
    samples = read_samples(tmp_path / "samples")
    rejected = samples[samples["outcome"] == Outcome.UNAUTHORISED]
    assert ending.reason == "cancelled" and kinds(ending) == ["key"]
    assert len(rejected) >= 1
    assert set(np.unique(samples["outcome"])) - {Outcome.UNFINISHED} == {Outcome.OK, Outcome.UNAUTHORISED}


def test_an_update_in_the_middle_shows_both_revisions_and_no_failure(site: Site, tmp_path: Path) -> None:
    service = live(site)
    measurement = begin(service, tmp_path / "samples", duration=600.0)
    wait_for_requests(measurement, 60)
    site.script(2)
    update(site, service, wait=True)
    wait_until(lambda: 2 in read_samples(measurement.samples)["revision"], what="the new revision")
    ending = measurement.stop()
    samples = read_samples(tmp_path / "samples")
    assert ending.reason == "cancelled" and kinds(ending) == ["revision"]
    samples = samples[samples["outcome"] != Outcome.UNFINISHED]  # were in flight when it was stopped
    assert (samples["outcome"] == Outcome.OK).all()
    assert np.unique(samples["revision"]).tolist() == [1, 2]


@pytest.mark.parametrize(
    ("act", "found"),
    [
        (lambda service: service.stop(), ["connection", "died"]),
        (lambda service: service.delete(), ["connection", "died"]),
    ],
    ids=["stopped", "deleted"],
)
def test_a_service_that_ends_in_the_middle(
    site: Site, tmp_path: Path, act: Callable[[Webservice], object], found: list[str]
) -> None:
    service = live(site)
    measurement = begin(service, tmp_path / "samples", duration=600.0)
    wait_for_requests(measurement, 60)
    act(service)
    ending = measurement.wait()
    samples = read_samples(tmp_path / "samples")
    assert ending.reason == "died" and [kind for kind in kinds(ending) if kind != "refused"] == found
    assert set(np.unique(samples["outcome"])) <= {Outcome.OK, Outcome.NO_CONNECTION, Outcome.UNAVAILABLE}
    assert ending.elapsed < 300


def test_a_service_that_is_stopped_and_started_again_is_measured_on(site: Site, tmp_path: Path) -> None:
    service = live(site)
    measurement = begin(service, tmp_path / "samples", duration=12.0)
    wait_for_requests(measurement, 60)
    service.stop()
    service.start()
    ending = measurement.wait()
    samples = read_samples(tmp_path / "samples")
    assert ending.reason == "finished" and "died" not in kinds(ending)
    assert (samples["outcome"][-20:] == Outcome.OK).all()
