"""Leases: one operation at a time may change a service."""

from __future__ import annotations

import pytest

from mldeploy_jupyter.core.errors import DeploymentInProgress
from mldeploy_jupyter.core.process_identity import identify_process
from mldeploy_jupyter.core.store.store import Store

RUNNER = {"pid": 7, "started": "1", "host": "h"}


def test_a_lease_has_one_holder(store: Store) -> None:
    lease = store.leases.acquire("s", "d1", 100, RUNNER)
    assert store.leases.get("s") == lease and lease.runner == RUNNER
    with pytest.raises(DeploymentInProgress) as caught:
        store.leases.acquire("s", "d2", 100, RUNNER)
    assert caught.value.deployment_id == "d1"
    assert store.leases.acquire("s", "d1", 200, RUNNER).expires > lease.expires
    assert store.leases.acquire("other", "d2", 100, RUNNER).service == "other"
    assert not store.leases.renew("s", "d2", 100)
    assert store.leases.renew("s", "d1", 300)
    assert not store.leases.release("s", "d2")
    assert store.leases.release("s", "d1")
    assert store.leases.get("s") is None


def test_an_expired_lease_is_taken_over(store: Store) -> None:
    store.leases.acquire("s", "d1", -1, RUNNER)
    assert store.leases.acquire("s", "d2", 100, {}).holder == "d2"
    assert not store.leases.renew("s", "d1", 100)


def test_release_removes_only_the_lease_of_that_holder(store: Store) -> None:
    store.leases.acquire("s", "d1", 100, RUNNER)
    assert not store.leases.release("s", "d0")
    assert store.leases.release("s", "d1")
    assert store.leases.acquire("s", "d2", 100, {}).holder == "d2"


def test_sqlite_measures_leases_with_the_clock_it_is_given(tmp_path) -> None:
    now = [1000.0]
    store = Store(f"sqlite:///{tmp_path}/s.db", clock=lambda: now[0])
    assert store.leases.acquire("s", "d1", 10, {}).expires == 1010
    now[0] = 1009.9
    with pytest.raises(DeploymentInProgress):
        store.leases.acquire("s", "d2", 10, {})
    now[0] = 1010.0
    assert store.leases.acquire("s", "d2", 10, {}).expires == 1020


@pytest.mark.postgres
def test_postgresql_measures_leases_with_its_own_clock(postgres_url: str) -> None:
    """Two machines whose clocks are a day apart agree on who holds a lease."""
    early, late = Store(postgres_url, clock=lambda: 0.0), Store(postgres_url, clock=lambda: 4e9)
    lease = early.leases.acquire("s", "d1", 60, {})
    assert 1.7e9 < lease.expires < 4e9
    with pytest.raises(DeploymentInProgress):
        late.leases.acquire("s", "d2", 60, {})
    early.close()
    late.close()


@pytest.mark.parametrize("jump", [86400.0, -86400.0, -600.0])
def test_a_lease_of_this_machine_outlasts_a_jump_of_the_clock(tmp_path, jump: float) -> None:
    wall, monotonic = [1e9], [50.0]
    store = Store(f"sqlite:///{tmp_path}/s.db", clock=lambda: wall[0], monotonic=lambda: monotonic[0])
    lease = store.leases.acquire("s", "d1", 30, identify_process())
    wall[0] += jump
    monotonic[0] += 20
    assert store.leases.remaining(lease) == 10
    with pytest.raises(DeploymentInProgress):
        store.leases.acquire("s", "d2", 30, identify_process())
    assert store.leases.renew("s", "d1", 30)
    assert (held := store.leases.get("s")) is not None and store.leases.remaining(held) == 30
    monotonic[0] += 30
    assert store.leases.acquire("s", "d2", 30, identify_process()).holder == "d2"
    store.close()


def test_a_lease_that_an_older_version_has_renewed_is_measured_with_the_time(tmp_path) -> None:
    wall = [1e9]
    store = Store(f"sqlite:///{tmp_path}/s.db", clock=lambda: wall[0])
    lease = store.leases.acquire("s", "d1", 30, {**identify_process(), "host": "another/boot", "until": 1.0})
    assert store.leases.remaining(lease) == 30
    store.close()
