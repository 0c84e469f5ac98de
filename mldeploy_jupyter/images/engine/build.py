"""One build of the engine: sends a context, forwards the output line by line, and names the step that failed."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from mldeploy_jupyter.core.text import strip_colours
from mldeploy_jupyter.docker_engine import EngineError, engine_errors
from mldeploy_jupyter.docker_engine.failures import describe_message
from mldeploy_jupyter.images.dockerfile import Instruction, render
from mldeploy_jupyter.images.engine.stream import EngineStream, lost_error
from mldeploy_jupyter.images.layer_tar import Entry, LayerFile, iterate_tar, tar_size
from mldeploy_jupyter.images.secrets import needs_host_network, redact

if TYPE_CHECKING:
    from mldeploy_jupyter.docker_engine import Engine
    from mldeploy_jupyter.images.types import BuildSecrets, Cancel, Emit

DOCKERFILE = ".mldeploy.Dockerfile"  # in a context; a user's own files may have one named Dockerfile

STAGE_LABEL = "io.mldeploy.stage"  # of the images of a discarded stage

_ABANDONED = 6 * 3600  # seconds, after which no build can still be using a stage's images

_LINE = 65536  # characters of an unfinished line that are kept
_TAIL = 40  # lines that a failure keeps

_KILLED = (130, 137, 143)  # exit codes of a process that a signal ended

_GOING_SECONDS = 3.0  # for an engine that is stopping to be gone

_REPORT_BYTES = 20_000_000  # of a context, between two events that say how much is sent

# "Step 3/7 : RUN x" of Docker, "[1/2] STEP 3/7: RUN x" of Podman.
_STEP = re.compile(r"^(?:\[\d+/\d+\] )?step \d+(?:/\d+)? ?: ", re.IGNORECASE)

_RED = re.compile(r"\x1b\[(91|0)m")  # the first build API paints each piece of standard error

# Lines about the engine's own work, which are of no use to users.
_CHATTER = re.compile(
    r"^( ?---?> |Removing intermediate container|Successfully (built|tagged)|COMMIT |STEP |--> |[0-9a-f]{64}$)",
    re.IGNORECASE,
)


class StepCounter:
    """Numbers the steps that people see over all builds of an image, and reports each as it begins."""

    def __init__(self, total: int, emit: Emit) -> None:
        self.total, self._emit, self.number, self.title = total, emit, 0, ""

    def begin(self, title: str) -> None:
        """A step begins."""
        self.number += 1
        self.title = title
        self.report()

    def report(self, **data: Any) -> None:
        """Says how far the current step is."""
        total = max(self.total, self.number)
        fraction = round((self.number - 1) / total, 3) if total else 0.0
        self._emit("image", "progress", self.title, step=f"{self.number}/{total}", fraction=fraction, **data)


def run_build(
    engine: Engine,
    instructions: list[Instruction],
    entries: Mapping[str, Entry],
    *,
    tag: str,
    platform: str,
    secrets: BuildSecrets,
    steps: StepCounter,
    emit: Emit,
    cancel: Cancel,
) -> str:
    """Builds the image `tag` from the instructions and the files of its context. Returns the image's id.

    Raises:
        EngineError: a step failed (code `build-step-failed`), the engine refused or disconnected.
        StorageError: a file of the context is gone or was changed.
        Exception: what `cancel` raises; the engine stops the build then.
    """
    context = {**entries, DOCKERFILE: LayerFile.of(render(instructions).encode())}
    params: dict[str, Any] = {
        "t": tag,
        "dockerfile": DOCKERFILE,
        "rm": "1",
        "forcerm": "1",
        "buildargs": json.dumps(secrets.proxies) if secrets.proxies else None,  # the engine keeps these out of images
        "networkmode": "host" if needs_host_network(secrets) else None,
        "platform": platform if platform != engine.platform else None,
    }
    output = _Output(instructions, steps, emit, secrets)
    body = _report_sent(iterate_tar(context), tar_size(context), steps)
    headers = {"Content-Type": "application/x-tar"}
    try:
        with EngineStream(engine, "/build", params, body=body, headers=headers) as stream:
            try:
                for event in stream.events(cancel):
                    output.take(event)
            except EngineError as error:
                # An engine that is stopped ends its containers first, so that the step seems to have failed.
                if error.failure.get("exit_code") in _KILLED and _is_going(engine):
                    raise lost_error(engine, "the engine ended the build's container") from error
                raise
        image = _find(engine, tag)
        if image is None:
            raise lost_error(engine, "the build ended before it was complete")
        return image
    except BaseException:
        _remove_unfinished(engine, output.last_image)
        raise


def new_stage_label() -> str:
    """The value of the label for a stage of one build."""
    return f"{os.getpid()}-{os.urandom(6).hex()}"


def remove_stage(engine: Engine, value: str, *, tries: int = 20, pause: Callable[[float], None] = time.sleep) -> None:
    """Removes the images of a discarded stage, which hold the settings of the machine, and those left by lost builds.

    A build that was cancelled may still be ending, so this is tried again for some seconds.
    """
    from docker.errors import DockerException

    api = engine.client.api
    for _ in range(tries):
        try:
            engine.ping()
            found = api.images(filters={"label": STAGE_LABEL}, all=True)
            mine = [image for image in found if (image.get("Labels") or {}).get(STAGE_LABEL) == value]
            old = [image for image in found if time.time() - image.get("Created", 0) > _ABANDONED]
            for image in [*mine, *old]:
                with suppress(DockerException):  # it went with another one, or its container is just being removed
                    api.remove_image(image["Id"], force=True)
            if not mine:
                return
        except (DockerException, EngineError, OSError):
            return  # the engine is unavailable: the next build removes what is left
        pause(0.1)


class _Output:
    """Reads the output of a build: steps become progress, the rest lines of the journal."""

    def __init__(self, instructions: list[Instruction], steps: StepCounter, emit: Emit, secrets: BuildSecrets) -> None:
        self._waiting = list(instructions)
        self._begun = next((line for line in instructions if line.title), None)
        self._steps, self._emit, self._secrets = steps, emit, secrets
        if self._begun is not None:  # sending the context is a part of it
            steps.begin(self._begun.title)
        self._instruction = Instruction("")
        self._tail: list[str] = []
        self._rest = ""
        self.last_image = ""

    def take(self, event: dict[str, Any]) -> None:
        """Takes the next object. Raises `EngineError` for one that says why the build failed."""
        if "stream" in event:
            text = _RED.sub("", self._rest + str(event["stream"])).replace("\r\n", "\n")
            *lines, self._rest = text.split("\n")
            for line in lines:
                self._take_line(line)
            if len(self._rest) > _LINE:  # a step that prints no end of a line: what it has is shown in parts
                self._take_line(self._rest)
                self._rest = ""
        elif event.get("error"):
            self._take_line(self._rest)
            raise self._failure(str(event["error"]), event.get("errorDetail"))
        elif event.get("status") and not event.get("progressDetail"):
            self._log(f"{event.get('id', '')} {event['status']}".strip())

    def _take_line(self, line: str) -> None:
        if _STEP.match(line):
            self._instruction = self._waiting.pop(0) if self._waiting else Instruction(line)
            self._tail.clear()
            if self._instruction.title and self._instruction is not self._begun:
                self._steps.begin(self._instruction.title)
        elif found := re.match(r"^ ?---?> ([0-9a-f]{12,64})$", line):
            self.last_image = found[1]
        elif line.strip() and not _CHATTER.match(line):
            self._log(line.rstrip())

    def _log(self, line: str) -> None:
        text = redact(line, self._secrets)
        self._tail = [*self._tail, strip_colours(text)][-_TAIL:]
        self._emit("image", "log", text)

    def _failure(self, message: str, detail: Any) -> EngineError:
        message = redact(message, self._secrets)
        known = describe_message(message)
        status = detail.get("code") if isinstance(detail, dict) else None
        if found := re.search(r"non-zero code: (\d+)|exit status (\d+)", message):
            status = int(found[1] or found[2])
        elif known["code"] != "engine-error":
            return EngineError(known)
        full = any("no space left on device" in line.lower() for line in self._tail)
        return EngineError(
            {
                "code": "no-space" if full else "build-step-failed",
                "message": message,
                "step": self._steps.title,
                "instruction": self._instruction.text,
                "exit_code": status,
                "log_tail": self._tail,
            }
        )


def _report_sent(pieces: Iterable[bytes], total: int, steps: StepCounter) -> Iterable[bytes]:
    """The pieces; of a large context, events say how much of it is sent."""
    sent = reported = 0
    for piece in pieces:
        yield piece
        sent += len(piece)
        if total > _REPORT_BYTES and (sent - reported >= _REPORT_BYTES or sent == total):
            reported = sent
            steps.report(sent=sent, total=total)


def _is_going(engine: Engine) -> bool:
    """Whether the engine is being stopped."""
    end = time.monotonic() + _GOING_SECONDS
    while time.monotonic() < end:
        try:
            engine.ping()
        except EngineError:
            return True
        time.sleep(0.05)
    return False


def _find(engine: Engine, tag: str) -> str | None:
    from docker.errors import ImageNotFound

    with engine_errors(engine.endpoint, image=tag):
        try:
            return str(engine.client.api.inspect_image(tag)["Id"])
        except ImageNotFound:
            return None


def _remove_unfinished(engine: Engine, image: str) -> None:
    """Removes what a build that failed has left: its last image, and those it was made from that have no name."""
    from docker.errors import DockerException

    with suppress(DockerException, EngineError, OSError):
        engine.ping()  # without it the SDK leaves a socket open when the engine is gone
        if image and not engine.client.api.inspect_image(image).get("RepoTags"):
            engine.client.api.remove_image(image)
