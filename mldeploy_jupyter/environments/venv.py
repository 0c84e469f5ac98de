"""An environment of PyPI packages: locked and built by uv."""

from __future__ import annotations

import platform
import re
import sysconfig
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from mldeploy_jupyter.core.errors import EnvironmentBuildError
from mldeploy_jupyter.environments.provided import server_requirements
from mldeploy_jupyter.environments.records import Interpreter
from mldeploy_jupyter.environments.uv import Uv, UvError, named_error

FORMAT = "# mldeploy environment lock 1"


def header(python_version: str) -> str:
    """The first lines of a lock: what the pins are good for."""
    libc = platform.libc_ver()[0] or "libc"
    return f"{FORMAT}\n# python {python_version}\n# platform {sysconfig.get_platform()} {libc}\n"


def header_python(lock: str) -> str:
    """The Python version in a lock's header. Raises `EnvironmentBuildError` if the text is not a lock."""
    found = re.search(r"^# python (\d+\.\d+\.\d+)$", lock, re.MULTILINE)
    if not lock.startswith(FORMAT) or found is None:
        raise EnvironmentBuildError(
            "the environment's lock cannot be read",
            why=f"it does not start with {FORMAT!r} and a Python version",
            hint="deploy again from the InferenceConfig, so that a new lock is made",
        )
    return found[1]


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

    `excluded` are names that come from elsewhere (conda) and must not be locked. Raises `EnvironmentBuildError`.
    """
    asked = {_name(text) for text in requirements}
    excluded = [name for name in excluded or [] if name not in asked]  # who names it below `pip:` wants PyPI's
    server = [text for text in server_requirements() if _name(text) not in excluded]
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
            raise _conflict_with_server(error, command, requirements, server, uv) from None
    return _with_given_hashes(text, requirements)


def build_venv(folder: Path, lock: str, interpreter: Interpreter, uv: Uv) -> dict[str, Any]:
    """Make a virtual environment in `folder` with what `lock` pins. It may be moved. Returns its marker."""
    try:
        uv.run(
            ["venv", str(folder), "--python", interpreter.path, "--relocatable", "--no-project"],
            with_index=False,
            quiet=True,
        )
    except UvError as error:
        raise named_error(error, doing="built") from None
    install_pip(folder, lock, uv)
    return {"kind": "venv", "python_version": interpreter.version, "base": interpreter.path}


def install_pip(folder: Path, lock: str, uv: Uv) -> None:
    """Install what `lock` pins, and nothing else, into the environment in `folder`; hashes are checked."""
    if not pinned(lock):
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
        if "hash" in error.output.lower() and "mismatch" in error.output.lower():
            raise EnvironmentBuildError(
                "the environment cannot be built: a package is not the one that was locked",
                why=re.sub(r"\s+", " ", error.output.split("error:")[-1]).strip(),
                hint="find out who changed the package; a new lock is made when the requirements change",
                code="HashMismatch",
            ) from None
        raise named_error(error, doing="built") from None


def pinned(lock: str) -> list[str]:
    """The names that a lock pins, without those of conda."""
    return [_name(line) for line in lock.splitlines() if line and not line.startswith((" ", "#"))]


def _conflict_with_server(
    error: UvError, command: list[str], requirements: list[str], server: list[str], uv: Uv
) -> EnvironmentBuildError:
    """The named error; where only the scoring server's requirements stand against the user's, it names both."""
    found = named_error(error, doing="locked")
    if found.code not in ("RequirementsConflict", "VersionNotFound"):
        return found
    try:
        uv.run(command, stdin="\n".join(requirements) + "\n", quiet=True)
    except UvError:
        return found
    ours = [text for text in server if re.search(rf"\b{re.escape(_name(text))}\b", error.output)]
    theirs = [text for text in requirements if re.search(rf"\b{re.escape(_name(text))}\b", error.output)]
    return EnvironmentBuildError(
        "the environment cannot be locked: a requirement contradicts the scoring server's",
        why=f"{', '.join(theirs) or 'your requirements'} against {', '.join(ours) or 'the server'}: {found.why}",
        hint=f"loosen {', '.join(_name(text) for text in theirs) or 'your requirements'}; "
        f"the server needs {', '.join(ours)}",
        code="ServerRequirementsConflict",
    )


def _with_given_hashes(lock: str, requirements: list[str]) -> str:
    """Where the user gave hashes, only those are kept: a package that has others must not be installed."""
    given = {_name(text): re.findall(r"--hash=(\S+)", text) for text in requirements if "--hash=" in text}
    entries = re.split(r"\n(?=\S)", lock.strip())
    out = []
    for entry in entries:
        wanted = given.get(_name(entry))
        if wanted:
            kept = [found for found in re.findall(r"--hash=(\S+)", entry) if found in wanted]
            if not kept:
                raise EnvironmentBuildError(
                    f"the environment cannot be locked: no file of {_name(entry)} has the hash that was given",
                    why=f"the requirements give {', '.join(wanted)}",
                    hint=f"correct the --hash of {_name(entry)}, or remove it",
                    code="HashMismatch",
                )
            entry = " \\\n    ".join([entry.split()[0], *(f"--hash={value}" for value in kept)])
        out.append(entry)
    return "\n".join(out) + "\n"


def _name(requirement: str) -> str:
    from packaging.utils import canonicalize_name

    return canonicalize_name(re.split(r"[\s=<>!~\[;@(]", requirement.strip(), maxsplit=1)[0])
