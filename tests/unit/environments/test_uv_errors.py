"""uv's failures as named errors, from what uv 0.13 printed."""

from __future__ import annotations

import pytest

from mldeploy_jupyter.core.errors import EnvironmentBuildError
from mldeploy_jupyter.environments import uv as uv_module
from mldeploy_jupyter.environments.uv import Uv, UvError, named_error

SAID = {
    "PackageNotFound": """error: No solution found when resolving dependencies
  cause: Because nosuch was not found in the package registry and you require nosuch, we can conclude that your \
requirements are unsatisfiable.""",
    "VersionNotFound": """error: No solution found when resolving dependencies
  cause: Because there is no version of six==99 and you require six==99, we can conclude that your requirements \
are unsatisfiable.""",
    "RequirementsConflict": """warning: something else
error: No solution found when resolving dependencies
  cause: Because uvicorn>=0.34.0 depends on click>=7.0 and you require click<7, we can conclude that your \
requirements and uvicorn>=0.34.0 are incompatible.
         And because you require uvicorn>=0.34, we can conclude that your requirements are unsatisfiable.

hint: a hint of uv""",
    "Offline": """error: No solution found when resolving dependencies
  cause: Because tomli was not found in the cache and you require tomli, we can conclude that your requirements \
are unsatisfiable.

hint: Packages were unavailable because the network was disabled.""",
    "NoNetwork": """error: Request failed after 3 retries in 5.6s
  cause: Failed to fetch: http://127.0.0.1:9/simple/uvloop/
  cause: error sending request for url (http://127.0.0.1:9/simple/uvloop/)
  cause: client error (Connect)
  cause: tcp connect error
  cause: Connection refused (os error 111)""",
    "IndexRefused": """error: Failed to fetch: `http://127.0.0.1:9/simple/six/`
  cause: HTTP status client error (401 Unauthorized) for url (http://127.0.0.1:9/simple/six/)""",
    "BuildFailed": """error: Failed to build `pycrypto==2.6.1`
  cause: The build backend returned an error
  cause: Call to `setuptools.build_meta:__legacy__.build_wheel` failed (exit status: 1)

         [stdout]
         checking for gcc... gcc

         [stderr]
         src/_fastmath.c:33:10: fatal error: longintrepr.h: No such file or directory
         error: Command '['gcc']' returned non-zero exit status 1.

hint: This error likely indicates that you need to install a library""",
    "DiskFull": """error: failed to write to file `/cache/x`
  cause: No space left on device (os error 28)""",
    # uv before 0.10 drew its causes.
    "RequirementsConflict ": """  × No solution found when resolving dependencies:
  ╰─▶ Because you require six==1.16.0 and six==1.15.0, we can conclude that
      your requirements are unsatisfiable.""",
    "EnvironmentFailed": "error: something that nobody saw before",
}


@pytest.mark.parametrize("code", SAID)
def test_a_failure_of_uv_gets_its_name(code: str, snapshot: object) -> None:
    error = named_error(UvError(SAID[code]), doing="locked")
    assert error.code == code.strip()
    assert str(error) == snapshot


def test_an_index_is_passed_by_variable_and_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN", "hunter2")
    monkeypatch.delenv("UV_INDEX", raising=False)
    options = ["--extra-index-url=https://me:${TOKEN}@index.invalid/simple", "--find-links=/w", "--pre"]
    environ, secrets = uv_module._environ(options)
    assert environ["UV_INDEX"] == "https://me:hunter2@index.invalid/simple"
    assert uv_module._arguments(options) == ["--find-links=/w", "--prerelease=allow"]
    line = "trying https://me:hunter2@index.invalid/simple with hunter2"
    assert uv_module._redact(line, secrets) == "trying https://****@index.invalid/simple with ****"


def test_a_variable_that_is_not_set_is_named(monkeypatch: pytest.MonkeyPatch, snapshot: object) -> None:
    monkeypatch.delenv("NOPE", raising=False)
    with pytest.raises(EnvironmentBuildError) as caught:
        Uv(options=["--index-url=https://me:${NOPE}@index.invalid/simple"]).run(["pip", "compile", "-"])
    assert str(caught.value) == snapshot


def test_pips_settings_serve_uv_unless_uv_has_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("UV_DEFAULT_INDEX", "UV_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_INDEX_URL", "https://pip.invalid/simple")
    assert uv_module._environ([])[0]["UV_DEFAULT_INDEX"] == "https://pip.invalid/simple"
    monkeypatch.setenv("UV_DEFAULT_INDEX", "https://uv.invalid/simple")
    assert uv_module._environ([])[0]["UV_DEFAULT_INDEX"] == "https://uv.invalid/simple"


def test_a_missing_uv_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import uv

    def missing() -> str:
        raise FileNotFoundError("no uv here")

    monkeypatch.setattr(uv, "find_uv_bin", missing)
    with pytest.raises(EnvironmentBuildError) as caught:
        Uv().run(["venv"])
    assert caught.value.code == "UvNotFound"
