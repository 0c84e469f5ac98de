"""Failures of uv as errors with a name, a reason and a hint, recognised by uv's messages."""

from __future__ import annotations

import re
from collections.abc import Callable

from mldeploy_jupyter.core.errors import EnvironmentBuildError


def explain_failure(output: str, *, doing: str) -> EnvironmentBuildError:
    """The error for uv's standard error. `doing` completes "the environment cannot be ...": locked, built."""
    what, reasons = f"the environment cannot be {doing}", _reasons(output)
    for rule in _RULES:
        error = rule(output, what, reasons)
        if error is not None:
            return error
    return EnvironmentBuildError(
        what, why=reasons or "uv gave no reason", hint="see the log above; uv's own words are there"
    )


# Each rule returns None when `text`, uv's output, is not its case.


def _offline(text: str, what: str, reasons: str) -> EnvironmentBuildError | None:
    if "network was disabled" not in text:
        return None
    return EnvironmentBuildError(
        f"{what} without the network",
        why=reasons,
        hint="deploy once with the network, or without offline=True",
        code="Offline",
    )


def _package_not_found(text: str, what: str, reasons: str) -> EnvironmentBuildError | None:
    missing = re.search(
        r"Because (\S+) was not found in the (?:package registry|package index|provided package locations)", text
    )
    if missing is None:
        return None
    return EnvironmentBuildError(
        f"{what}: there is no package {missing[1]}",
        why=f"{missing[1]} was not found in the package index",
        hint=f"correct the name {missing[1]}, or name its index with --extra-index-url in the requirements",
        code="PackageNotFound",
    )


def _index_refused(text: str, what: str, reasons: str) -> EnvironmentBuildError | None:
    if not re.search(r"40[13] (Unauthorized|Forbidden)|status code: 40[13]|\b40[13] Client Error", text):
        return None
    return EnvironmentBuildError(
        f"{what}: the package index refuses access",
        why=reasons,
        hint="set the index's user and password in ~/.netrc, or ${NAME} in its address and NAME in the environment",
        code="IndexRefused",
    )


def _no_network(text: str, what: str, reasons: str) -> EnvironmentBuildError | None:
    if not re.search(r"Failed to fetch|error sending request|dns error|tcp connect|timed out|Could not connect", text):
        return None
    address = re.search(r"Failed to fetch: `?([^\s`]+)", text)
    return EnvironmentBuildError(
        f"{what}: the package index cannot be reached",
        why=f"{address[1]}: {reasons.rpartition('; ')[2]}" if address else reasons,
        hint="check the network and HTTPS_PROXY, or name a reachable index in PIP_INDEX_URL",
        code="NoNetwork",
    )


def _disk_full(text: str, what: str, reasons: str) -> EnvironmentBuildError | None:
    if not re.search(r"No space left on device|os error 28", text):
        return None
    return EnvironmentBuildError(
        f"{what}: the disk is full", why=reasons, hint="free disk space, or set MLDEPLOY_CACHE", code="DiskFull"
    )


def _build_failed(text: str, what: str, reasons: str) -> EnvironmentBuildError | None:
    if not re.search(r"Failed to build|build backend|Build backend|Failed to download and build", text):
        return None
    name = re.search(r"[Ff]ailed to (?:download and )?build[: ]+`?([A-Za-z0-9._-]+)", text)
    package = name[1].partition("==")[0] if name else "a package"
    printed = re.findall(r"^\s*(.*(?:fatal error|Error): .*)$", text.partition("[stderr]")[2], re.MULTILINE)
    return EnvironmentBuildError(
        f"{what}: {package} could not be built from its source",
        why="; ".join([reasons, *printed[:1]]),
        hint=f"choose a version of {package} that has a wheel for this Python, or install what its build needs",
        code="BuildFailed",
    )


def _version_not_found(text: str, what: str, reasons: str) -> EnvironmentBuildError | None:
    version = re.search(r"there (?:is|are) no versions? of (\S+?)(?: and|,| \()", text)
    if version is None or "depends on" in text:
        return None
    return EnvironmentBuildError(
        f"{what}: there is no {version[1]}",
        why=reasons,
        hint=f"take a version of {re.split('[=<>!~]', version[1])[0]} that exists for this Python",
        code="VersionNotFound",
    )


def _conflict(text: str, what: str, reasons: str) -> EnvironmentBuildError | None:
    if "No solution found" not in text and "unsatisfiable" not in text:
        return None
    return EnvironmentBuildError(
        f"{what}: the requirements contradict each other",
        why=reasons,
        hint="loosen one of the requirements named above",
        code="RequirementsConflict",
    )


# In this order: later messages also occur in the output of earlier cases.
_RULES: list[Callable[[str, str, str], EnvironmentBuildError | None]] = [
    _offline,
    _package_not_found,
    _index_refused,
    _no_network,
    _disk_full,
    _build_failed,
    _version_not_found,
    _conflict,
]


def _reasons(text: str) -> str:
    """uv's explanation in one line of at most 2,000 characters, without its ornaments, warnings and hints."""
    parts: list[str] = []
    inside = False  # inside the explanation
    for line in text.splitlines():
        if re.match(r"(error:|\s{0,2}×)", line):
            inside = True
            line = re.sub(r"^\s*(error:|×)\s*", "", line)
            parts = [line]
        elif re.match(r"\s*(hint:|help:|warning:)", line):
            inside = False
        elif inside and re.match(r"\s*\[(stdout|stderr)\]", line):
            inside = False  # the output of a package's build follows
        elif inside and line.strip():
            part, is_new = re.subn(r"^[\s│]*([├╰]─▶|cause:)\s*", "", line)
            if is_new:
                parts.append(part)
            else:  # the continuation of the line above
                parts[-1] += " " + part.strip(" │")
    if len(parts) > 1 and "No solution found" in parts[0]:
        del parts[0]
    return "; ".join(part.strip() for part in parts)[:2000]
