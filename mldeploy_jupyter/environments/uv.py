"""Runs uv: passes its output on line by line, and kills it when the caller cancels."""

from __future__ import annotations

import contextlib
import os
import queue
import re
import signal
import subprocess
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Protocol

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
# Where uv looks for packages and Pythons, and how long; an index's own user and password too.
SEARCH_SETTINGS = re.compile(
    r"UV_(?:DEFAULT_INDEX|INDEX_URL|INDEX|EXTRA_INDEX_URL|INDEX_\w+_(?:USERNAME|PASSWORD)|INDEX_STRATEGY|INSECURE_HOST"
    r"|FIND_LINKS|NO_INDEX"
    r"|HTTP_TIMEOUT|HTTP_RETRIES|PYTHON_INSTALL_MIRROR|PYTHON_DOWNLOADS_JSON_URL)"
)
# Lines of one run that are shown, the first and the last of them: uv's reasons for old packages may have 60,000.
LOGGED_LINES, LOGGED_LAST = 1000, 100

SEARCH_OPTIONS = {"--find-links": "UV_FIND_LINKS", "--trusted-host": "UV_INSECURE_HOST"}  # several, with a space


class Lines(Protocol):
    """Lines that another thread reads, as in a queue; None is the end."""

    def get(self, *, timeout: float) -> bytes | None: ...


class UvError(Exception):
    """uv failed. `output` is what it wrote to standard error, without passwords."""

    def __init__(self, output: str) -> None:
        super().__init__(output)
        self.output = output


@dataclass
class Uv:
    """How to run uv. `emit` gets its lines; `cancel` is called while it runs, and kills it by raising.

    `options` are pip's, from a requirements file. `keep_open` is a file descriptor that uv inherits. `folder` is its
    working directory. `downloads` lets it download Pythons.
    """

    emit: Emit = silent
    cancel: Cancel = never
    offline: bool = False
    options: list[str] = field(default_factory=list)
    keep_open: int | None = None
    folder: Path | None = None
    downloads: bool = False

    def run(self, command: list[str], *, stdin: str = "", with_index: bool = True, quiet: bool = False) -> str:
        """Runs `uv <command>` with the text `stdin`, and returns its standard output.

        `with_index` passes the options for indexes on, `quiet` emits no lines. Raises `UvError` when uv fails,
        `EnvironmentBuildError` when uv or a variable in an index address is missing, and whatever `cancel` raises, once
        uv is dead.
        """
        environ, secrets = environment(self.options)
        general = ["--color=never", "--no-progress", *(["--offline"] if self.offline else [])]
        general += [] if self.downloads else ["--no-python-downloads"]
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
            for line in self.read_lines(lines):
                text = redact(line.decode("utf-8", "backslashreplace").rstrip("\n"), secrets)
                errors.append(text)
                if not quiet and len(errors) <= LOGGED_LINES:
                    self.emit("log", text)
            code = process.wait()
            if not quiet:
                self.show_rest(errors[LOGGED_LINES:])
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

    def show_rest(self, rest: list[str]) -> None:
        """Shows the last of the lines that were not shown when they came."""
        if len(rest) > LOGGED_LAST:
            self.emit("log", f"... {len(rest) - LOGGED_LAST:,} lines of uv are left out")
        for text in rest[-LOGGED_LAST:]:
            self.emit("log", text)

    def read_lines(self, lines: Lines) -> Iterator[bytes]:
        """The lines up to the end. Calls `cancel` ten times a second, whether lines come or not."""
        asked = time.monotonic()
        while True:
            try:
                line = lines.get(timeout=0.1)
            except queue.Empty:
                pass
            else:
                if line is None:
                    return
                yield line
            if time.monotonic() - asked >= 0.1:
                self.cancel()
                asked = time.monotonic()


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


def index_variables(options: Iterable[str] = ()) -> dict[str, str]:
    """The variables that tell uv where packages and Pythons are: those of this process, and those of the options.

    They may hold passwords. Raises `EnvironmentBuildError` for a variable in an address that is not set.
    """
    environ, _ = environment(options)
    found = {name: value for name, value in environ.items() if value and SEARCH_SETTINGS.fullmatch(name)}
    for option in options:
        name, _, value = option.partition("=")
        if name == "--no-index":
            found["UV_NO_INDEX"] = "1"
        elif name in SEARCH_OPTIONS:
            variable = SEARCH_OPTIONS[name]
            found[variable] = f"{found.get(variable, '')} {value}".strip()
    return found


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
