"""What an environment is made from: conda, the kernel, an interpreter, a Dockerfile, a folder."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from mldeploy_jupyter.api.environments import Environment
from mldeploy_jupyter.core.errors import EnvironmentBuildError, UserErrorException


def test_no_conda_command(monkeypatch: pytest.MonkeyPatch, snapshot: object) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CONDA_EXE", raising=False)
    with pytest.raises(EnvironmentBuildError) as caught:
        Environment.from_existing_conda_environment("e", "base")
    assert str(caught.value) == snapshot


def test_the_kernel_becomes_exact_pins() -> None:
    import yaml

    spec = Environment.from_kernel("k", modules=["yaml", "json", "packaging"]).to_spec()
    assert f"PyYAML=={yaml.__version__}" in spec.pip and len(spec.pip) == 2
    assert spec.python == "{}.{}".format(*sys.version_info)
    everything = Environment.from_kernel().to_spec().pip
    assert any(pin.startswith("pytest==") for pin in everything)
    assert not any(pin.startswith(("ipykernel", "mldeploy")) for pin in everything)
    with pytest.raises(EnvironmentBuildError, match="cannot be pinned"):
        Environment.from_kernel("k", modules=["mldeploy_jupyter"])


def test_a_user_managed_interpreter_must_exist() -> None:
    environment = Environment("e")
    environment.python.user_managed_dependencies = True
    assert environment.to_spec().interpreter == sys.executable
    environment.python.interpreter_path = "/nowhere/python"
    with pytest.raises(EnvironmentBuildError, match="there is no interpreter /nowhere/python"):
        environment.to_spec()


def test_a_dockerfile_and_a_build_context_are_stored(folder: Path) -> None:
    text = "# syntax=docker/dockerfile:1\nFROM python:3.12\nRUN true\n"
    (folder / "Dockerfile").write_text(text)
    (folder / "requirements.txt").write_text("six\n")
    environment = Environment.from_dockerfile("e", "Dockerfile", pip_requirements="requirements.txt")
    assert Environment.from_dict(environment.to_dict()).docker.base_dockerfile == text
    assert environment.to_spec().pip == ["six"]
    assert Environment.from_dockerfile("e", "FROM python:3.12").docker.base_dockerfile == "FROM python:3.12"
    for context in (".", SimpleNamespace(location=".", dockerfile_path="Dockerfile")):
        environment = Environment.from_docker_build_context("e", context)
        assert Environment.from_dict(environment.to_dict()).docker.build_context == str(folder)
    with pytest.raises(UserErrorException, match="no such file"):
        Environment.from_dockerfile("e", "nope/Dockerfile")
    with pytest.raises(UserErrorException, match="no FROM line"):
        Environment.from_dockerfile("e", "requirements.txt")
    with pytest.raises(UserErrorException, match="there is no Dockerfile in"):
        Environment.from_docker_build_context("e", "nope")
