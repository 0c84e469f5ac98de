"""No garbage collection while a block imports, and the process's own choice kept."""

from __future__ import annotations

import gc

import pytest

from mldeploy_jupyter.core.imports import without_collections


def test_collections_go_on_afterwards_also_after_an_error() -> None:
    assert gc.isenabled()
    with pytest.raises(ImportError), without_collections():
        assert not gc.isenabled()
        raise ImportError
    assert gc.isenabled()


def test_who_has_turned_them_off_keeps_them_off() -> None:
    gc.disable()
    try:
        with without_collections():
            assert not gc.isenabled()
        assert not gc.isenabled()
    finally:
        gc.enable()
