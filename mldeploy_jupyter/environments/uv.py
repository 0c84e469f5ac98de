"""Runs uv: its lines as they come, an end when it is cancelled, and a named error when it fails."""

from __future__ import annotations

import contextlib
import os
import queue
import re
import signal
import subprocess
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from mldeploy_jupyter.core.errors import EnvironmentBuildError
from mldeploy_jupyter.environments.records import Emit, never, silent

# pip's options -> uv's. Addresses go by environment variable: arguments can be seen by every user of the machine.
ARGUMENTS = {
    "--find-links": "--find-links",
    "--no-index": "--no-index",
    "--pre": "--prerelease=allow",
    "--trusted-host": "--allow-insecure-host",
    "--only-binary": "--only-binary",
    "--no-binary": "--no-binary",
}
ADDRESSES = {"--index-url": "UV_DEFAULT_INDEX", "--extra-index-url": "UV_INDEX"}
# Who set pip up for an index and a certificate should not have to do it again for uv.
FROM_PIP = {
    "PIP_INDEX_URL": ("UV_DEFAULT_INDEX", "UV_INDEX_URL"),
    "PIP_EXTRA_INDEX_URL": ("UV_INDEX", "UV_EXTRA_INDEX_URL"),
    "PIP_CERT": ("SSL_CERT_FILE",),
}


class UvError(Exception):
    """uv ended with an error; `output` is what it said on standard error."""

    def __init__(self, output: str) -> None:
        super().__init__(output)
        self.output = output


@dataclass
class Uv:
    """How to run uv: where its lines go, who may cancel it, whether it may use the network.

    `options` are pip's, from a requirements file. `keep_open` is a descriptor that uv inherits.
    """

    emit: Emit = silent
    cancel: Callable[[], None] = never
    offline: bool = False
    options: list[str] = field(default_factory=list)
    keep_open: int | None = None
    folder: Path | None = None

    def run(self, command: list[str], *, stdin: str = "", with_index: bool = True, quiet: bool = False) -> str:
        """What uv printed on standard output. Raises `UvError`, or what `cancel` raises once uv has ended."""
        environ, secrets = _environ(self.options)
        general = ["--color=never", "--no-progress", "--no-python-downloads", *(["--offline"] if self.offline else [])]
        options = _arguments(self.options) if with_index else []
        process = subprocess.Popen(
            [_binary(), *command, *general, *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environ,
            cwd=self.folder,  # uv reads the project files of the current folder, which are not ours
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
        said: list[str] = []
        try:
            for thread in threads:
                thread.start()
            with contextlib.suppress(BrokenPipeError):
                process.stdin.write(stdin.encode())
            with contextlib.suppress(BrokenPipeError):
                process.stdin.close()
            while (line := self._next(lines)) is not None:
                text = _redact(line.decode("utf-8", "backslashreplace").rstrip("\n"), secrets)
                said.append(text)
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
            raise UvError("\n".join(said))
        return output[0].decode()

    def _next(self, lines: queue.Queue[bytes | None]) -> bytes | None:
        while True:
            try:
                return lines.get(timeout=0.1)
            except queue.Empty:
                self.cancel()


def named_error(error: UvError, *, doing: str) -> EnvironmentBuildError:
    """uv's failure as an error with a name. `doing` completes "The environment cannot be ...": locked, built."""
    text = error.output
    reasons = _reasons(text)
    what = f"the environment cannot be {doing}"
    if "network was disabled" in text:
        return EnvironmentBuildError(
            f"{what} without the network",
            why=reasons,
            hint="deploy once with the network, or without offline=True",
            code="Offline",
        )
    missing = re.search(
        r"Because (\S+) was not found in the (?:package registry|package index|provided package locations)", text
    )
    if missing:
        return EnvironmentBuildError(
            f"{what}: there is no package {missing[1]}",
            why=f"{missing[1]} was not found in the package index",
            hint=f"correct the name {missing[1]}, or name its index with --extra-index-url in the requirements",
            code="PackageNotFound",
        )
    if re.search(r"40[13] (Unauthorized|Forbidden)|status code: 40[13]|\b40[13] Client Error", text):
        return EnvironmentBuildError(
            f"{what}: the package index refuses access",
            why=reasons,
            hint="set the index's user and password in ~/.netrc, or ${NAME} in its address and NAME in the environment",
            code="IndexRefused",
        )
    if re.search(r"Failed to fetch|error sending request|dns error|tcp connect|timed out|Could not connect", text):
        address = re.search(r"Failed to fetch: `?([^\s`]+)", text)
        why = f"{address[1]}: {reasons.rpartition('; ')[2]}" if address else reasons
        return EnvironmentBuildError(
            f"{what}: the package index cannot be reached",
            why=why,
            hint="check the network and HTTPS_PROXY, or name a reachable index in PIP_INDEX_URL",
            code="NoNetwork",
        )
    if re.search(r"No space left on device|os error 28", text):
        return EnvironmentBuildError(
            f"{what}: the disk is full", why=reasons, hint="free disk space, or set MLDEPLOY_CACHE", code="DiskFull"
        )
    if re.search(r"Failed to build|build backend|Build backend|Failed to download and build", text):
        name = re.search(r"[Ff]ailed to (?:download and )?build[: ]+`?([A-Za-z0-9._-]+)", text)
        package = name[1].partition("==")[0] if name else "a package"
        said = re.findall(r"^\s*(.*(?:fatal error|Error): .*)$", text.partition("[stderr]")[2], re.MULTILINE)
        return EnvironmentBuildError(
            f"{what}: {package} could not be built from its source",
            why="; ".join([reasons, *said[:1]]),
            hint=f"choose a version of {package} that has a wheel for this Python, or install what its build needs",
            code="BuildFailed",
        )
    version = re.search(r"there (?:is|are) no versions? of (\S+?)(?: and|,| \()", text)
    if version and "depends on" not in text:
        return EnvironmentBuildError(
            f"{what}: there is no {version[1]}",
            why=reasons,
            hint=f"take a version of {re.split('[=<>!~]', version[1])[0]} that exists for this Python",
            code="VersionNotFound",
        )
    if "No solution found" in text or "unsatisfiable" in text:
        return EnvironmentBuildError(
            f"{what}: the requirements contradict each other",
            why=reasons,
            hint="loosen one of the requirements named above",
            code="RequirementsConflict",
        )
    return EnvironmentBuildError(
        what, why=reasons or "uv gave no reason", hint="see the log above; uv's own words are there"
    )


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


def _reasons(text: str) -> str:
    """uv's explanation in one line, without its ornaments, warnings and hints."""
    kept: list[str] = []
    inside = False
    for line in text.splitlines():
        if re.match(r"(error:|\s{0,2}×)", line):
            inside = True
            line = re.sub(r"^\s*(error:|×)\s*", "", line)
            kept = [line]
        elif re.match(r"\s*(hint:|help:|warning:)", line):
            inside = False
        elif inside and re.match(r"\s*\[(stdout|stderr)\]", line):
            inside = False  # what a build printed
        elif inside and line.strip():
            said, new = re.subn(r"^[\s│]*([├╰]─▶|cause:)\s*", "", line)
            if new:
                kept.append(said)
            else:  # the line above goes on
                kept[-1] += " " + said.strip(" │")
    if len(kept) > 1 and "No solution found" in kept[0]:
        del kept[0]
    return "; ".join(part.strip() for part in kept)[:2000]


def _pump(pipe: IO[bytes], lines: queue.Queue[bytes | None]) -> None:
    for line in pipe:
        lines.put(line)
    lines.put(None)


def _environ(options: Iterable[str]) -> tuple[dict[str, str], list[str]]:
    """The environment for uv, and the values in it that must not be shown."""
    environ, secrets = dict(os.environ), []
    for name, targets in FROM_PIP.items():
        if environ.get(name) and not any(environ.get(target) for target in targets):
            environ[targets[0]] = environ[name]
    for name in ("VIRTUAL_ENV", "CONDA_PREFIX", "PYTHONPATH", "PYTHONHOME", "UV_SYSTEM_PYTHON", "UV_PROJECT"):
        environ.pop(name, None)  # of the kernel, not of the environment that is made
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


def _arguments(options: Iterable[str]) -> list[str]:
    arguments = []
    for option in options:
        name, equals, value = option.partition("=")
        if name in ARGUMENTS:
            arguments.append(ARGUMENTS[name] + equals + value)
    return arguments


def _redact(text: str, secrets: list[str]) -> str:
    for secret in secrets:
        text = text.replace(secret, "****")
    return re.sub(r"(://)[^/@\s]+@", r"\1****@", text)
