"""How uv is called: indexes, secrets, pip's settings."""

from __future__ import annotations

import pytest

from mldeploy_jupyter.core.errors import EnvironmentBuildError
from mldeploy_jupyter.environments import uv as uv_module
from mldeploy_jupyter.environments.uv import Uv


def test_an_index_is_passed_by_variable_and_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN", "hunter2")
    monkeypatch.delenv("UV_INDEX", raising=False)
    options = ["--extra-index-url=https://me:${TOKEN}@index.invalid/simple", "--find-links=/w", "--pre"]
    environ, secrets = uv_module.environment(options)
    assert environ["UV_INDEX"] == "https://me:hunter2@index.invalid/simple"
    assert uv_module.arguments(options) == ["--find-links=/w", "--prerelease=allow"]
    line = "trying https://me:hunter2@index.invalid/simple with hunter2"
    assert uv_module.redact(line, secrets) == "trying https://****@index.invalid/simple with ****"


def test_a_variable_that_is_not_set_is_an_error(monkeypatch: pytest.MonkeyPatch, snapshot: object) -> None:
    monkeypatch.delenv("NOPE", raising=False)
    with pytest.raises(EnvironmentBuildError) as caught:
        Uv(options=["--index-url=https://me:${NOPE}@index.invalid/simple"]).run(["pip", "compile", "-"])
    assert str(caught.value) == snapshot


def test_pips_settings_apply_unless_uv_has_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("UV_DEFAULT_INDEX", "UV_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_INDEX_URL", "https://pip.invalid/simple")
    assert uv_module.environment([])[0]["UV_DEFAULT_INDEX"] == "https://pip.invalid/simple"
    monkeypatch.setenv("UV_DEFAULT_INDEX", "https://uv.invalid/simple")
    assert uv_module.environment([])[0]["UV_DEFAULT_INDEX"] == "https://uv.invalid/simple"


def test_a_missing_uv_has_an_error_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    import uv

    def missing() -> str:
        raise FileNotFoundError("no uv here")

    monkeypatch.setattr(uv, "find_uv_bin", missing)
    with pytest.raises(EnvironmentBuildError) as caught:
        Uv().run(["venv"])
    assert caught.value.code == "UvNotFound"


class Flood:
    """A queue in which the next line is always there already."""

    def get(self, *, timeout: float) -> bytes:
        return b"And because of this\n"


def test_lines_that_never_pause_can_be_cancelled() -> None:
    def cancel() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        for _line in Uv(cancel=cancel).read_lines(Flood()):
            pass


def test_of_many_lines_the_first_and_the_last_are_shown() -> None:
    shown: list[str] = []
    Uv(emit=lambda kind, text="", **data: shown.append(text)).show_rest([str(number) for number in range(1000)])
    assert shown == ["... 900 lines of uv are left out", *map(str, range(900, 1000))]
