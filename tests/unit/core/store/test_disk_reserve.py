"""The reserve is made while there is room, and given back when there is none."""

from __future__ import annotations

from pathlib import Path

import pytest

from mldeploy_jupyter.core.store import disk_reserve
from mldeploy_jupyter.core.store.disk_reserve import RESERVE_BYTES, make_reserve, release_reserve


def test_the_reserve_is_made_once_and_released_on_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, reserve = tmp_path / "store.db", tmp_path / "store.db.reserve"
    make_reserve(store)
    assert (reserve.stat().st_size, reserve.stat().st_mode & 0o777) == (RESERVE_BYTES, 0o600)
    release_reserve(store)
    assert reserve.exists()
    monkeypatch.setattr(disk_reserve, "free_bytes", lambda path: 0)
    release_reserve(store)
    assert not reserve.exists()
    make_reserve(store)
    assert not reserve.exists()
