"""Environments of PyPI packages, which uv locks and builds."""

from __future__ import annotations

import re
import tempfile
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from mldeploy_jupyter.core.errors import EnvironmentBuildError
from mldeploy_jupyter.environments.lock_text import locked_python, pip_names, requirement_name
from mldeploy_jupyter.environments.server_packages import server_requirements
from mldeploy_jupyter.environments.types import Interpreter
from mldeploy_jupyter.environments.uv import Uv, UvError
from mldeploy_jupyter.environments.uv_errors import CLEAR_LINES, explain_failure

_WHEEL_SECONDS = 10.0  # that uv has for finding a version with a wheel, for a hint


def lock_pip(
    requirements: list[str],
    constraints: list[str],
    uv: Uv,
    *,
    interpreter: Interpreter,
    python_version: str,
    excluded: list[str] | None = None,
) -> str:
    """Exact pins with hashes of `requirements` and the scoring server's own, for `python_version`.

    `excluded` are names that come from conda and must not be locked, unless `requirements` ask for them: a package
    under `pip:` comes from PyPI. Raises `EnvironmentBuildError` with uv's reason.
    """
    requested = {requirement_name(text) for text in requirements}
    excluded = [name for name in excluded or [] if name not in requested]
    server = [text for text in server_requirements() if requirement_name(text) not in excluded]
    with tempfile.TemporaryDirectory(prefix="mldeploy-lock-") as folder:
        uv = replace(uv, folder=Path(folder))
        command = ["pip", "compile", "-", "--no-header", "--no-annotate", "--generate-hashes", "--no-strip-markers"]
        command += ["--no-emit-index-url", "--no-emit-find-links", "--python", interpreter.path]
        command += ["--python-version", python_version]
        for option, lines in (("--constraints", constraints), ("--excludes", excluded)):
            if lines:
                path = Path(folder) / f"{option[2:]}.txt"
                path.write_text("\n".join(lines) + "\n", "utf-8")
                command += [option, str(path)]
        try:
            text = uv.run(command, stdin="\n".join([*requirements, *server]) + "\n")
        except UvError as error:
            near_wheel = partial(find_near_wheel, uv, interpreter.path, python_version)
            found = explain_failure(error.output, doing="locked", requirements=requirements, near_wheel=near_wheel)
            raise _conflict_with_server(found, error.output, command, requirements, server, uv) from None
    return _with_given_hashes(text, requirements)


def build_venv(folder: Path, lock: str, interpreter: Interpreter, uv: Uv) -> dict[str, Any]:
    """Makes a relocatable virtual environment in `folder` with the packages of `lock`. Returns its marker.

    Raises `EnvironmentBuildError`.
    """
    make_venv(folder, interpreter, uv)
    install_pip(folder, lock, uv)
    return {"kind": "venv", "python_version": interpreter.version, "base": interpreter.path}


def install_pip(folder: Path, lock: str, uv: Uv) -> None:
    """Installs the PyPI packages of `lock`, and nothing else, into the environment in `folder`.

    Raises `EnvironmentBuildError`, also for a file whose hash is not in the lock.
    """
    if not pip_names(lock):
        return
    path = folder / "mldeploy.lock"
    path.write_text(lock, "utf-8")
    command = [
        "pip",
        "install",
        "--python",
        str(folder / "bin" / "python"),
        "--no-deps",
        "--compile-bytecode",
        "--requirements",
        str(path),
    ]
    try:
        replace(uv, folder=folder).run(command)
    except UvError as error:
        near_wheel = partial(find_near_wheel, uv, str(folder / "bin" / "python"), locked_python(lock))
        raise explain_failure(error.output, doing="built", near_wheel=near_wheel) from None


def find_near_wheel(uv: Uv, python: str, python_version: str, name: str, version: str) -> str:
    """The version of a package nearest to `version` that has a wheel for this Python: a later one, else an earlier.

    `python` is an interpreter of this machine. "" where uv cannot tell. Raises whatever `uv.cancel` raises.
    """
    end = time.monotonic() + _WHEEL_SECONDS

    def cancel() -> None:
        uv.cancel()
        if time.monotonic() > end:
            raise UvError("it takes too long")

    command = ["pip", "compile", "-", "--no-header", "--no-annotate", "--no-deps", "--only-binary", ":all:"]
    command += ["--python", python, "--python-version", python_version, "--resolution"]
    options = [option for option in uv.options if not option.startswith(("--no-binary", "--only-binary"))]
    with tempfile.TemporaryDirectory(prefix="mldeploy-lock-") as folder:
        asking = replace(uv, folder=Path(folder), cancel=cancel, options=options)
        for sign, order in ((">", "lowest"), ("<", "highest")):
            try:
                text = asking.run([*command, order], stdin=f"{name}{sign}{version}\n", quiet=True)
            except UvError:
                continue
            if found := re.search(rf"^{re.escape(requirement_name(name))}==(\S+)", text, re.MULTILINE):
                return found[1]
    return ""


def _conflict_with_server(
    found: EnvironmentBuildError, output: str, command: list[str], requirements: list[str], server: list[str], uv: Uv
) -> EnvironmentBuildError:
    """The error for a failed lock. If only the scoring server's requirements are in the way, it names both sides."""
    # Reasons for hundreds of versions are not a contradiction of two lines, and asking uv again may take minutes.
    if found.code not in ("RequirementsConflict", "VersionNotFound") or output.count("\n") > CLEAR_LINES:
        return found
    ours = [text for text in server if re.search(rf"\b{re.escape(requirement_name(text))}\b", output)]
    if not ours:
        return found
    try:
        uv.run(command, stdin="\n".join(requirements) + "\n", quiet=True)
    except UvError:
        return found
    theirs = [text for text in requirements if re.search(rf"\b{re.escape(requirement_name(text))}\b", output)]
    return EnvironmentBuildError(
        "the environment cannot be locked: a requirement contradicts the scoring server's",
        why=f"{', '.join(theirs) or 'your requirements'} against {', '.join(ours)}: {found.why}",
        hint=f"loosen {', '.join(requirement_name(text) for text in theirs) or 'your requirements'}; "
        f"the server needs {', '.join(ours)}",
        code="ServerRequirementsConflict",
    )


def _with_given_hashes(lock: str, requirements: list[str]) -> str:
    """The lock with only the user's hashes for the packages that had some: no other file may be installed.

    Raises `EnvironmentBuildError` when a package has no file with such a hash.
    """
    given = {requirement_name(text): re.findall(r"--hash=(\S+)", text) for text in requirements if "--hash=" in text}
    entries = re.split(r"\n(?=\S)", lock.strip())
    out = []
    for entry in entries:
        wanted = given.get(requirement_name(entry))
        if wanted:
            allowed = [found for found in re.findall(r"--hash=(\S+)", entry) if found in wanted]
            if not allowed:
                name = requirement_name(entry)
                raise EnvironmentBuildError(
                    f"the environment cannot be locked: no file of {name} has the hash that was given",
                    why=f"the requirements give {', '.join(wanted)}",
                    hint=f"correct the --hash of {name}, or remove it",
                    code="HashMismatch",
                )
            entry = " \\\n    ".join([entry.split()[0], *(f"--hash={value}" for value in allowed)])
        out.append(entry)
    return "\n".join(out) + "\n"


def make_venv(folder: Path, interpreter: Interpreter, uv: Uv) -> None:
    """Makes an empty, relocatable virtual environment. Raises `EnvironmentBuildError`."""
    try:
        uv.run(
            ["venv", str(folder), "--python", interpreter.path, "--relocatable", "--no-project"],
            with_index=False,
            quiet=True,
        )
    except UvError as error:
        raise explain_failure(error.output, doing="built") from None
