"""Images for tests of targets: small ones, with an environment that has only what the server needs."""

from __future__ import annotations

import functools
import sys
import uuid
from dataclasses import replace
from pathlib import Path
from typing import Any

from mldeploy_jupyter import environments
from mldeploy_jupyter.core.bundle import builder
from mldeploy_jupyter.deployment.images.build import read_build_secrets
from mldeploy_jupyter.docker_engine import Engine
from mldeploy_jupyter.images import docker_builder
from mldeploy_jupyter.images.context import ImageContent
from mldeploy_jupyter.targets import Plan
from mldeploy_jupyter.targets.docker import names


@functools.cache
def server_lock() -> tuple[str, str]:
    """The text of a lock with what the server needs, and the version of its Python."""
    spec = environments.pin_modules([], sys.executable)
    made = environments.lock(spec, kernel_python=sys.executable)
    return made.text, made.python_version


def build_service_image(plan: Plan, engine: Engine, base: str, cache: Path) -> str:
    """The id of an image of the plan's bundle."""
    assert plan.bundle is not None
    bundle = builder.load(plan.bundle)
    lock, python = server_lock()
    content = ImageContent(
        bundle=plan.bundle,
        manifest=bundle.manifest,
        model_files=lambda model: {
            name: bundle.app / model["folder"] / name for name in bundle.files_below(f"app/{model['folder']}/")
        },
        lock=lock,
        python=python,
        base=base,
    )
    workspace = plan.service.workspace_id or uuid.uuid4().hex
    tag = f"{names.image_repository(workspace, plan.service.name)}:{plan.revision.number}"
    built = docker_builder.build(
        content, engine, _discard, lambda: None, secrets=read_build_secrets(), tag=tag, cache=cache
    )
    return built.id


def with_image(plan: Plan, engine: Engine, base: str, cache: Path) -> Plan:
    """The plan with an image of its bundle."""
    return replace(plan, image=build_service_image(plan, engine, base, cache))


def _discard(stage: str, kind: str, text: str = "", **data: Any) -> None:
    pass
