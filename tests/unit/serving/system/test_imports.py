"""Modules by when they were imported."""

from __future__ import annotations

import sys
import types

import pytest

from mldeploy_jupyter.serving.system.imports import imported_after


def test_what_was_imported_after_a_module(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("test_first", "test_second", "test_third"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    assert imported_after("test_first") == ["test_second", "test_third"]
    assert imported_after("test_third") == []
    assert imported_after("no such module") == list(sys.modules)
