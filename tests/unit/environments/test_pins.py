"""An interpreter is not asked again for pins that are known."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator

import pytest

from mldeploy_jupyter.core.errors import EnvironmentBuildError
from mldeploy_jupyter.environments import pins
from mldeploy_jupyter.environments.types import Lock


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[set[str]]]:
    """The modules that the interpreter was asked about, each time."""
    found: list[set[str]] = []

    def capture(modules: Iterable[str], python: str) -> list[str]:
        found.append(set(modules))
        return ["# local: mine==1.0 (editable)"] if "mine" in found[-1] else ["numpy==2.1.0"]

    monkeypatch.setattr(pins, "capture", capture)
    monkeypatch.setattr(pins, "_last_pins", {})
    yield found


def test_pins_are_read_once_for_the_same_modules_and_packages(
    asked: list[set[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = pins.pin_modules(["numpy", "json"], sys.executable)
    assert first.pip == ["numpy==2.1.0"]
    assert pins.pin_modules(iter(["json", "numpy"]), sys.executable) == first
    assert asked == [{"numpy", "json"}]
    pins.pin_modules(["numpy"], sys.executable)
    monkeypatch.setattr(pins, "lock_current", lambda python: Lock("# python 3.11.7\nnumpy==2.2.0\n", "3.11.7"))
    pins.pin_modules(["numpy"], sys.executable)  # another package was installed
    assert len(asked) == 3


def test_a_local_package_is_refused_every_time(asked: list[set[str]]) -> None:
    for _ in range(2):
        with pytest.raises(EnvironmentBuildError, match="no other machine has"):
            pins.pin_modules(["mine"], sys.executable)
