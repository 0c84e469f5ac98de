from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mldeploy_jupyter.core import process_identity
from mldeploy_jupyter.core.errors import DeploymentInProgress, StoreError
from mldeploy_jupyter.core.records import DeploymentRecord
from mldeploy_jupyter.core.store.store import Store
from mldeploy_jupyter.deployment.lease import LEASE_SECONDS, Heartbeat, acquire_lease, has_live_holder
from tests.polling import wait_until


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(f"sqlite:///{tmp_path / 'store.db'}")
    yield store
    store.close()


DEAD = {**process_identity.identify_process(), "started": "1"}
ELSEWHERE = {"pid": 1, "started": "1", "host": "another/machine"}


def holds(store: Store) -> str:
    lease = store.leases.get("svc")
    return lease.holder if lease else ""


def test_the_second_holder_is_told_the_id_of_the_first(store: Store) -> None:
    store.add_deployment(DeploymentRecord("one", "svc", "local"))
    acquire_lease(store, "svc", "one")
    assert has_live_holder(store, "svc")
    with pytest.raises(DeploymentInProgress) as error:
        acquire_lease(store, "svc", "two")
    assert error.value.deployment_id == "one"


def test_the_lease_of_a_dead_holder_is_taken_over(store: Store) -> None:
    store.add_deployment(DeploymentRecord("one", "svc", "local"))
    store.leases.acquire("svc", "one", LEASE_SECONDS, DEAD)
    acquire_lease(store, "svc", "two")
    assert holds(store) == "two"


def test_a_holder_on_another_machine_is_believed_until_its_lease_runs_out(store: Store) -> None:
    store.add_deployment(DeploymentRecord("one", "svc", "local"))
    store.leases.acquire("svc", "one", LEASE_SECONDS, ELSEWHERE)
    with pytest.raises(DeploymentInProgress):
        acquire_lease(store, "svc", "two")


def test_the_lease_of_a_deployment_that_has_ended_is_taken_over(store: Store) -> None:
    store.add_deployment(DeploymentRecord("one", "svc", "local", state="live"))
    store.leases.acquire("svc", "one", LEASE_SECONDS, process_identity.identify_process())
    assert not has_live_holder(store, "svc")
    acquire_lease(store, "svc", "two")
    assert holds(store) == "two"


def test_a_short_operation_is_waited_for(store: Store) -> None:
    store.leases.acquire("svc", "control-1", LEASE_SECONDS, process_identity.identify_process())
    acquire_lease(store, "svc", "two", wait=lambda _seconds: store.leases.release("svc", "control-1"))
    assert holds(store) == "two"


def test_a_short_operation_is_waited_for_only_a_few_seconds(store: Store) -> None:
    store.leases.acquire("svc", "control-1", LEASE_SECONDS, process_identity.identify_process())
    times = iter([0.0, 1.0, 2.0, 99.0])
    with pytest.raises(DeploymentInProgress):
        acquire_lease(store, "svc", "two", clock=lambda: next(times), wait=lambda _seconds: None)


def test_the_heartbeat_renews_the_lease_and_releases_it_at_the_end(store: Store) -> None:
    acquire_lease(store, "svc", "one")
    first = store.leases.get("svc")
    with Heartbeat(store, "svc", "one", ttl=0.1) as heartbeat:
        assert first is not None
        while True:  # until it was renewed; the test's own limit ends a heart that does not beat
            now = store.leases.get("svc")
            if now is not None and now.expires != first.expires:
                break
        assert not heartbeat.lost.is_set()
    assert store.leases.get("svc") is None


def test_the_heartbeat_notices_that_another_took_over(store: Store) -> None:
    acquire_lease(store, "svc", "one")
    with Heartbeat(store, "svc", "one", ttl=0.05) as heartbeat:
        store.leases.release("svc", "one")
        store.leases.acquire("svc", "two", LEASE_SECONDS, process_identity.identify_process())
        assert heartbeat.lost.wait(10)
    assert holds(store) == "two"


def test_a_holder_that_a_signal_has_stopped_is_named(store: Store, stopped: dict[str, Any]) -> None:
    store.leases.acquire("svc", "control-1", LEASE_SECONDS, stopped)
    times = iter([0.0, 99.0])
    with pytest.raises(DeploymentInProgress) as error:
        acquire_lease(store, "svc", "two", clock=lambda: next(times), wait=lambda _seconds: None)
    assert f"process {stopped['pid']} is stopped by a signal" in error.value.why
    assert f"kill -CONT {stopped['pid']}" in error.value.hint


def test_a_renewal_that_a_store_was_away_for_is_made_up_at_once(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    acquire_lease(store, "svc", "one")
    renew, times = store.leases.renew, list[float]()

    def renew_at_the_third_attempt(service: str, holder: str, seconds: float) -> bool:
        times.append(time.monotonic())
        if len(times) < 3:
            raise StoreError("the store is unavailable")
        return renew(service, holder, seconds)

    monkeypatch.setattr(store.leases, "renew", renew_at_the_third_attempt)
    with Heartbeat(store, "svc", "one", ttl=4.0) as heartbeat:
        wait_until(lambda: len(times) == 3)
        assert times[2] - times[0] < 1.8, "it waited for the next renewal, a second later"
        assert not heartbeat.lost.is_set()
