"""Builds an image with the container engine, one image a step, each cached under a digest of its inputs.

    base         the base image, pulled; or what a `base_dockerfile` makes
    system       packages of the system and the user's own lines of a Dockerfile, if there are any
    environment  the Python environment of the lock
    server       the scoring server
    model        one for each model
    image        entry script and helpers: the image of the service

A step's key is a digest of its inputs and of the key before it, so a changed script sends the script alone, and a
changed model does not touch the environment. Images of steps are named `mldeploy-layers:<step>-<key>`, and a name is
given last, so a named image is complete. The engine's first build API is used, which every Docker and Podman has.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mldeploy_jupyter.core.text import format_size
from mldeploy_jupyter.docker_engine import engine_errors
from mldeploy_jupyter.images import base_image, dockerfile, receipt, sbom
from mldeploy_jupyter.images.build_context import list_context_files
from mldeploy_jupyter.images.dockerfile import Instruction
from mldeploy_jupyter.images.engine.build import STAGE_LABEL, StepCounter, new_stage_label, remove_stage, run_build
from mldeploy_jupyter.images.environment_files import (
    InstallConda,
    conda_entries,
    environment_entries,
    environment_settings,
    take_local_packages,
)
from mldeploy_jupyter.images.layer_tar import Entry, LayerFile
from mldeploy_jupyter.images.types import BuildSecrets, BuiltImage, Cancel, Emit, Layer

if TYPE_CHECKING:
    from mldeploy_jupyter.docker_engine import Engine
    from mldeploy_jupyter.images.base_image import BaseImage
    from mldeploy_jupyter.images.context import ContentLayer, ImageContent

REPOSITORY = "mldeploy-layers"  # of the images of steps; local only

KEY_LABEL = "io.mldeploy.key"
STEP_LABEL = "io.mldeploy.step"

RECIPE = 1  # raised when the instructions of a step change what it makes

Entries = Mapping[str, Entry]


@dataclass(frozen=True)
class Step:
    """A step of a build. `instructions` returns what follows on the image before, with its `FROM`.

    `entries` returns the files of its build context. `name` is for people, such as "model churn:3".
    """

    name: str
    key: str
    instructions: Callable[[str], list[Instruction]]
    entries: Callable[[], Entries]

    @property
    def tag(self) -> str:
        return f"{REPOSITORY}:{self.name.partition(' ')[0]}-{self.key[:40]}"


def build(
    content: ImageContent,
    engine: Engine,
    emit: Emit,
    cancel: Cancel,
    *,
    secrets: BuildSecrets | None = None,
    tag: str,
    cache: Path | None = None,
    install_conda: InstallConda | None = None,
) -> BuiltImage:
    """Builds the image of `content`, or finds it, and gives it the name `tag`.

    Steps whose image the engine has are not made again. `cache` is a folder for what is known of base images.
    `install_conda` installs the conda packages of the lock into a folder; a lock with some needs it.

    Raises:
        EngineError: the base cannot be had or does not fit, a step failed, or the engine disconnected.
        StorageError: a file of the bundle or a model is gone or damaged.
        Exception: what `cancel` raises; the engine stops the build then.
    """
    return _Build(content, engine, emit, cancel, secrets or BuildSecrets(), cache, install_conda).run(tag)


class _Build:
    def __init__(
        self,
        content: ImageContent,
        engine: Engine,
        emit: Emit,
        cancel: Cancel,
        secrets: BuildSecrets,
        cache: Path | None,
        install_conda: InstallConda | None,
    ) -> None:
        self.content, self.engine, self.emit, self.cancel = content, engine, emit, cancel
        self.secrets, self.cache, self.install_conda = secrets, cache, install_conda
        self.steps = StepCounter(0, emit)

    def run(self, tag: str) -> BuiltImage:
        base = self._find_base()
        if dockerfile.has_base_packages(self.content.lock):
            base = base_image.inspect_content(self.engine, base, self.cancel, self.cache)
            self.content = replace(self.content, python=base_image.own_python(base))
        steps = _plan_steps(self.content, base.id)
        image = self._find_service_image(steps[-1])
        made: set[str] = set()
        if image is None:
            made = self._make(steps, base)
            image = self._inspect(steps[-1].tag)
            assert image is not None
        with engine_errors(self.engine.endpoint, image=tag):
            repository, _, version = tag.rpartition(":")
            self.engine.client.api.tag(image["Id"], repository or tag, version if repository else "latest")
            if steps[-1].tag in (image.get("RepoTags") or []):
                self.engine.client.api.remove_image(steps[-1].tag, noprune=True)  # only this name of it
        layers = self._describe_layers(steps, base, image, made)
        for layer in layers:
            word = "reused" if layer.reused else "made"
            text = f"{layer.name}: {format_size(layer.size)}, {word}"
            self.emit("image", "progress", text, fraction=1.0, layer=layer.to_dict())
        base = base_image.recall_content(base, self.cache)
        bill = sbom.make(self.content.lock, receipt.find_python(self.content, base), base, self.cache)
        made_receipt = receipt.make(
            self.content, layers, builder=self.engine.describe(), base=base, image=image["Id"], sbom=bill
        )
        return BuiltImage(image["Id"], tag, "", layers, base.digest, made_receipt, bill)

    def _find_base(self) -> BaseImage:
        content = self.content
        if not content.base_dockerfile:
            return base_image.find(self.engine, content.base, content.platform, self.secrets, self.emit, self.cancel)
        instructions = dockerfile.parse_steps(content.base_dockerfile)
        for reference in dockerfile.base_references(instructions):
            base_image.find(self.engine, reference, content.platform, self.secrets, self.emit, self.cancel)
        files = list_context_files(content.build_context) if content.build_context else {}
        key = _digest(["base", RECIPE, content.platform, content.base_dockerfile, _file_digests(files)])
        step = Step("base", key, lambda _: [*instructions, *_labels("base", key)], lambda: files)
        if self._inspect(step.tag) is None:
            self.steps = StepCounter(len([line for line in instructions if line.title]), self.emit)
            self._run_step(step, "")
        found = base_image.find(self.engine, step.tag, content.platform, self.secrets, self.emit, self.cancel)
        return replace(found, digest="")

    def _find_service_image(self, step: Step) -> dict[str, Any] | None:
        """The service's image that was made before, under whatever name it has."""
        with engine_errors(self.engine.endpoint):
            found = self.engine.client.api.images(filters={"label": f"{KEY_LABEL}={step.key}"})
        tagged = [image for image in found if image.get("RepoTags")]
        return self._inspect(tagged[0]["Id"]) if tagged else None

    def _make(self, steps: list[Step], base: BaseImage) -> set[str]:
        """Builds the steps after the last one that exists. Returns the names of those built."""
        first, parent = 0, base.id
        for index in range(len(steps) - 2, -1, -1):
            if self._inspect(steps[index].tag) is not None:
                first, parent = index + 1, steps[index].tag
                break
        missing = steps[first:]
        if any(step.name == "environment" for step in missing):
            base = base_image.inspect_content(self.engine, base, self.cancel, self.cache)
            base_image.check(base, apt=self.content.apt)
        titles = [line.title for step in missing for line in step.instructions("") if line.title]
        self.steps = StepCounter(len(titles), self.emit)
        for step in missing:
            self.cancel()
            if step.name == "environment":
                self._make_environment(step, parent)
            else:
                self._run_step(step, parent)
            parent = step.tag
        return {step.name for step in missing}

    def _make_environment(self, step: Step, parent: str) -> None:
        content = self.content
        before = base_image.find(self.engine, parent, content.platform, self.secrets, self.emit, self.cancel)
        before = base_image.inspect_content(self.engine, before, self.cancel, self.cache)
        fitting = before.find_python(content.python)
        added = not fitting and not dockerfile.has_conda_python(content.lock)
        if fitting and fitting != content.python:
            self.emit("image", "log", f"Python {fitting} of the base image is used; the lock names {content.python}")
        if added:
            found = f"only {', '.join(before.pythons)}" if before.pythons else "no Python"
            self.emit("image", "log", f"the base has {found}; a Python for {content.python} is added")
        stage = new_stage_label()
        instructions = [
            *dockerfile.environment_stage(parent, content, f"{STAGE_LABEL}={stage}"),
            Instruction(f"FROM {parent}"),
            *dockerfile.environment(added_python=added),
            *_labels("environment", step.key),
        ]
        with conda_entries(content.lock, self.install_conda) as packages:
            entries = {**step.entries(), **packages}
            try:
                self._run_step(replace(step, instructions=lambda _: instructions, entries=lambda: entries), parent)
            finally:
                remove_stage(self.engine, stage)

    def _run_step(self, step: Step, parent: str) -> None:
        entries = step.entries()
        if step.name == "environment":
            variables, packages = take_local_packages(self.secrets.variables, self.content.lock)
            settings = environment_settings({**self.secrets.proxies, **variables}, self.secrets.ca_bundle)
            entries = {**entries, **packages, **settings}
        run_build(
            self.engine,
            step.instructions(parent),
            entries,
            tag=step.tag,
            platform=self.content.platform,
            secrets=self.secrets,
            steps=self.steps,
            emit=self.emit,
            cancel=self.cancel,
        )

    def _describe_layers(
        self, steps: list[Step], base: BaseImage, image: dict[str, Any], made: set[str]
    ) -> list[Layer]:
        layers, size = [Layer("base", base.digest or base.id, base.size, True)], base.size
        for step in steps:
            found = image if step is steps[-1] else self._inspect(step.tag)
            if found is None:  # removed since, and a part of the next one
                continue
            total, digests = int(found.get("Size") or 0), (found.get("RootFS") or {}).get("Layers") or [""]
            name = "code" if step is steps[-1] else step.name
            layers.append(Layer(name, digests[-1], max(0, total - size), step.name not in made))
            size = total
        return layers

    def _inspect(self, reference: str) -> dict[str, Any] | None:
        from docker.errors import ImageNotFound

        with engine_errors(self.engine.endpoint, image=reference):
            try:
                return dict(self.engine.client.api.inspect_image(reference))
            except ImageNotFound:
                return None


def _plan_steps(content: ImageContent, base_id: str) -> list[Step]:
    """All steps of an image, in order. Reads the build context of the user's own lines, and nothing else."""
    steps: list[Step] = []
    key = _digest([RECIPE, base_id, content.platform])
    lines = dockerfile.system(content.apt, content.steps)
    if lines:
        files = list_context_files(content.build_context) if content.build_context and content.steps else {}
        key = _digest([key, "system", content.apt, content.steps, _file_digests(files)])
        steps.append(_step("system", key, lines, lambda: files))
    key = _digest([key, "environment", content.python, content.lock_digest])
    expected = [*dockerfile.environment_stage("", content), *dockerfile.environment(added_python=False)]
    steps.append(Step("environment", key, lambda _: expected, lambda: environment_entries(content)))
    server, *models, code = content.layers()
    key = _digest([key, "server", server.key, [line.text for line in dockerfile.server()]])
    steps.append(_step("server", key, dockerfile.server(), _files_of(server)))
    for model in models:
        key = _digest([key, "model", model.key])
        steps.append(_step(model.name, key, dockerfile.files(model, "files"), _files_of(model, "files")))
    labels = content.image_labels()
    key = _digest([key, "code", code.key, labels])
    steps.append(_step("image", key, dockerfile.files(code, "files"), _files_of(code, "files"), labels))
    return steps


def _step(
    name: str,
    key: str,
    instructions: list[Instruction],
    entries: Callable[[], Entries],
    labels: Mapping[str, str] | None = None,
) -> Step:
    last = _labels(name, key, labels)
    return Step(name, key, lambda parent: [Instruction(f"FROM {parent}"), *instructions, *last], entries)


def _files_of(layer: ContentLayer, folder: str = "server") -> Callable[[], Entries]:
    return lambda: {f"{folder}/{name}": entry for name, entry in layer.entries.items()}


def _labels(name: str, key: str, labels: Mapping[str, str] | None = None) -> list[Instruction]:
    return dockerfile.labels({**(labels or {}), KEY_LABEL: key, STEP_LABEL: name.partition(" ")[0]})


def _file_digests(files: Mapping[str, LayerFile]) -> list[list[Any]]:
    return [[name, file.mode, file.digest] for name, file in sorted(files.items())]


def _digest(data: list[Any]) -> str:
    return hashlib.sha256(json.dumps(data).encode()).hexdigest()
