"""Runs uv: passes its output on line by line, and kills it when the caller cancels."""

from __future__ import annotations

import contextlib
import os
import queue
import re
import signal
import subprocess
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from mldeploy_jupyter.core.errors import EnvironmentBuildError
from mldeploy_jupyter.environments.types import Cancel, Emit, never, silent

# pip's options -> uv's. Addresses may hold passwords and go by environment variable: every user can see arguments.
ARGUMENTS = {
    "--find-links": "--find-links",
    "--no-index": "--no-index",
    "--pre": "--prerelease=allow",
    "--trusted-host": "--allow-insecure-host",
    "--only-binary": "--only-binary",
    "--no-binary": "--no-binary",
}
ADDRESSES = {"--index-url": "UV_DEFAULT_INDEX", "--extra-index-url": "UV_INDEX"}
# pip's settings -> uv's, of which the first is set unless one is set already. A user should not configure both.
FROM_PIP = {
    "PIP_INDEX_URL": ("UV_DEFAULT_INDEX", "UV_INDEX_URL"),
    "PIP_EXTRA_INDEX_URL": ("UV_INDEX", "UV_EXTRA_INDEX_URL"),
    "PIP_CERT": ("SSL_CERT_FILE",),
}


class UvError(Exception):
    """uv failed. `output` is what it wrote to standard error, without passwords."""

    def __init__(self, output: str) -> None:
        super().__init__(output)
        self.output = output


@dataclass
class Uv:
    """How to run uv. `emit` gets its lines; `cancel` is called while it runs, and kills it by raising.

    `options` are pip's, from a requirements file. `keep_open` is a file descriptor that uv inherits. `folder` is its
    working directory.
    """

    emit: Emit = silent
    cancel: Cancel = never
    offline: bool = False
    options: list[str] = field(default_factory=list)
    keep_open: int | None = None
    folder: Path | None = None

    def run(self, command: list[str], *, stdin: str = "", with_index: bool = True, quiet: bool = False) -> str:
        """Runs `uv <command>` with the text `stdin`, and returns its standard output.

        `with_index` passes the options for indexes on, `quiet` emits no lines. Raises `UvError` when uv fails,
        `EnvironmentBuildError` when uv or a variable in an index address is missing, and whatever `cancel` raises, once
        uv is dead.
        """
        environ, secrets = environment(self.options)
        general = ["--color=never", "--no-progress", "--no-python-downloads", *(["--offline"] if self.offline else [])]
        index_options = arguments(self.options) if with_index else []
        process = subprocess.Popen(
            [_binary(), *command, *general, *index_options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environ,
            cwd=self.folder,  # uv reads project files in its working directory
            start_new_session=True,
            pass_fds=() if self.keep_open is None else (self.keep_open,),
        )
        assert process.stdin and process.stdout and process.stderr
        lines: queue.Queue[bytes | None] = queue.Queue()
        output: list[bytes] = []
        threads = [
            threading.Thread(target=_pump, args=(process.stderr, lines), daemon=True),
            threading.Thread(target=lambda pipe: output.append(pipe.read()), args=(process.stdout,), daemon=True),
        ]
        errors: list[str] = []
        try:
            for thread in threads:
                thread.start()
            with contextlib.suppress(BrokenPipeError):
                process.stdin.write(stdin.encode())
            with contextlib.suppress(BrokenPipeError):
                process.stdin.close()
            while (line := self._next_line(lines)) is not None:
                text = redact(line.decode("utf-8", "backslashreplace").rstrip("\n"), secrets)
                errors.append(text)
                if not quiet:
                    self.emit("log", text)
            code = process.wait()
        except BaseException:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise
        finally:
            for thread in threads:
                thread.join()
            process.stdout.close()
            process.stderr.close()
        if code != 0:
            raise UvError("\n".join(errors))
        return output[0].decode()

    def _next_line(self, lines: queue.Queue[bytes | None]) -> bytes | None:
        """The next line; None at the end. Calls `cancel` ten times a second while it waits."""
        while True:
            try:
                return lines.get(timeout=0.1)
            except queue.Empty:
                self.cancel()


def _binary() -> str:
    import uv

    try:
        return str(uv.find_uv_bin())
    except FileNotFoundError as error:
        raise EnvironmentBuildError(
            "the tool uv was not found",
            why=str(error).splitlines()[0],
            hint="pip install --force-reinstall uv, in the kernel's environment",
            code="UvNotFound",
        ) from None


def _pump(pipe: IO[bytes], lines: queue.Queue[bytes | None]) -> None:
    for line in pipe:
        lines.put(line)
    lines.put(None)


def environment(options: Iterable[str]) -> tuple[dict[str, str], list[str]]:
    """The environment variables for uv, and the secrets in them. Raises `EnvironmentBuildError` for an unset one."""
    environ, secrets = dict(os.environ), []
    for name, targets in FROM_PIP.items():
        if environ.get(name) and not any(environ.get(target) for target in targets):
            environ[targets[0]] = environ[name]
    for name in ("VIRTUAL_ENV", "CONDA_PREFIX", "PYTHONPATH", "PYTHONHOME", "UV_SYSTEM_PYTHON", "UV_PROJECT"):
        environ.pop(name, None)  # they describe the kernel's environment, not the one that is made
    extra: list[str] = []
    for option in options:
        name, _, value = option.partition("=")
        if name not in ADDRESSES:
            continue
        for variable in re.findall(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}", value):
            if variable not in os.environ:
                raise EnvironmentBuildError(
                    f"the environment variable {variable} is not set",
                    why=f"the requirements name an index by ${{{variable}}}",
                    hint=f"set {variable} before deploying",
                    code="VariableNotSet",
                )
            secrets.append(os.environ[variable])
            value = value.replace(f"${{{variable}}}", os.environ[variable])
        if name == "--extra-index-url":
            extra.append(value)
        else:
            environ[ADDRESSES[name]] = value
    if extra:
        environ["UV_INDEX"] = " ".join(extra)
    return environ, [secret for secret in secrets if secret]


def arguments(options: Iterable[str]) -> list[str]:
    """uv's arguments for pip's options, without those that hold addresses."""
    found = []
    for option in options:
        name, equals, value = option.partition("=")
        if name in ARGUMENTS:
            found.append(ARGUMENTS[name] + equals + value)
    return found


def redact(text: str, secrets: list[str]) -> str:
    """`text` without secrets, and without the user and password in addresses."""
    for secret in secrets:
        text = text.replace(secret, "****")
    return re.sub(r"(://)[^/@\s]+@", r"\1****@", text)
