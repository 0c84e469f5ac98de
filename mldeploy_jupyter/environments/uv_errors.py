"""Failures of uv as errors with a name, a reason and a hint, recognised by uv's messages."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable

from mldeploy_jupyter.core.environment.distributions import REPLACED, imported_as
from mldeploy_jupyter.core.errors import EnvironmentBuildError
from mldeploy_jupyter.environments.pythons import floor, floor_text

# What uv or a build backend puts before the message at hand.
_ORNAMENT = r"^[ \t│├╰─▶×]*(?:error: |cause: |Caused by: )?"

# A package that could not be built, has no wheel for this Python or does not exist: name and version of each.
_NO_WHEEL = re.compile(
    r"[Ff]ailed to (?:download and )?build[: ]+`?([A-Za-z0-9._-]+)==([^`\s]+)"
    r"|Because (?:only )?([A-Za-z0-9._-]+)==(\S+) has no (?:usable wheels|wheels with a matching)"
    r"|there is no version of ([A-Za-z0-9._-]+)==([\w.!+]+)"
)

# Lines of uv's reasons, at most, of which one tells the cause. More are about every version that uv tried in turn.
CLEAR_LINES = 200

_REASONS_SHOWN = 2000  # characters, at most, of uv's explanation
_PRINTED_SHOWN = 200  # characters, at most, of a line that a build printed


NearWheel = Callable[[str, str], str]  # name and version -> the nearest version with a wheel; "" where unknown


def explain_failure(
    output: str, *, doing: str, requirements: Iterable[str] = (), near_wheel: NearWheel | None = None
) -> EnvironmentBuildError:
    """The error for uv's standard error. `doing` completes "the environment cannot be ...": locked, built.

    `requirements` are the lines that the user wrote; the hint names the one at fault where it can. `near_wheel` is
    asked for a version to take instead of one that has no wheel or does not exist.
    """
    what, reasons = f"the environment cannot be {doing}", _reasons(output)
    for rule in _RULES if output.count("\n") <= CLEAR_LINES or "No solution found" not in output else _RULES_OF_MANY:
        error = rule(output, what, reasons)
        if error is not None:
            _improve_hint(error, output, list(requirements), near_wheel)
            return error
    return EnvironmentBuildError(what, why=reasons or "uv gave no reason", hint="see uv's output in the log above")


def _improve_hint(
    error: EnvironmentBuildError, output: str, requirements: list[str], near_wheel: NearWheel | None
) -> None:
    """For a version without a wheel, has the hint name the line at fault, and the first version that has one."""
    found = _NO_WHEEL.search(output)
    if error.code not in ("BuildFailed", "VersionNotFound") or found is None:
        return
    from packaging.version import Version

    name, version = [group for group in found.groups() if group]
    of_name = _hint_of_name(name)
    if of_name and requirements and not any(_asks_for(text, name) for text in requirements):
        error.hint = f"one of the requirements needs {name}: take a version of it, or a package, that does not"
    if of_name:
        return
    near = near_wheel(name, version) if near_wheel is not None else ""
    later = bool(near) and Version(near) > Version(version)
    asked = next(
        (text.partition("--hash")[0].partition(";")[0].strip() for text in requirements if _asks_for(text, name)), ""
    )
    if error.code == "BuildFailed" and "==" not in asked and re.search(r"[<>!~]", asked):
        error.hint = f"loosen {asked}: of the versions that it admits, {version} has no wheel for this Python"
        error.hint += f", and {near} is the first later one that has" if later else ""
    elif near:
        place = "first version after" if later else "last version before"
        better = (
            f"{'write' if asked else 'ask for'} {name}=={near}, the {place} {version} that has a wheel for this Python"
        )
        vague = r"(choose a version of \S+ that has a wheel|take a version of \S+ that exists) for this Python"
        error.hint = re.sub(rf"^({vague}|take a newer version of \S+?(?=[,:]|$))", better, error.hint, count=1)


def _asks_for(requirement: str, name: str) -> bool:
    found = re.match(r"[A-Za-z0-9._-]+", requirement)
    return found is not None and _normal(found[0]) == _normal(name)


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
    hint = f"correct the name {missing[1]}, or name its index with --extra-index-url in the requirements"
    return EnvironmentBuildError(
        f"{what}: there is no package {missing[1]}",
        why=f"{missing[1]} was not found in the package index",
        hint=_hint_of_name(missing[1]) or hint,
        code="PackageNotFound",
    )


def _no_links_folder(text: str, what: str, reasons: str) -> EnvironmentBuildError | None:
    folder = re.search(r"Failed to read `--find-links` (?:directory|URL): (\S+)", text)
    if folder is None:
        return None
    return EnvironmentBuildError(
        f"{what}: --find-links names a folder that cannot be read",
        why=reasons,
        hint=f"correct the path {folder[1]} in the requirements, or remove --find-links",
        code="LinksNotFound",
    )


def _index_refused(text: str, what: str, reasons: str) -> EnvironmentBuildError | None:
    if not re.search(r"40[13] (?:Unauthorized|Forbidden|Client Error)|status code: 40[13]", text):
        return None
    return EnvironmentBuildError(
        f"{what}: the package index refuses access",
        why=reasons,
        hint="set the index's user and password in ~/.netrc, or ${NAME} in its address and NAME in the environment",
        code="IndexRefused",
    )


def _other_name(text: str, what: str, reasons: str) -> EnvironmentBuildError | None:
    """A repository, archive or wheel whose package has another name than the requirement gives it."""
    built = re.search(r"Package metadata name `([^`]+)` does not match given name `([^`]+)`", text)
    wheel = re.search(
        r"Requested package name `([^`]+)` does not match `([^`]+)` in the distribution filename: (\S+)", text
    )
    if built is not None:
        (name, given), address = built.groups(), re.search(r"`[^`\s]+ @ ([^`]+)`", text)
        url = address[1] if address else "ADDRESS"
    elif wheel is not None:
        given, name, url = wheel.groups()
    else:
        return None
    return EnvironmentBuildError(
        f"{what}: the package at {url} is {name}, not {given}",
        why=f"it calls itself {name}; a requirement without a name gets that of its file or repository",
        hint=f"write {name} @ {url}",
        code="PackageNotFound",
    )


def _nothing_there(text: str, what: str, reasons: str) -> EnvironmentBuildError | None:
    address = re.search(
        r"Failed to fetch: `?([^\s`]+)`?\s+(?:cause|[├╰]─▶|Caused by):? HTTP status client error \(404", text
    )
    if address is None:
        return None
    return EnvironmentBuildError(
        f"{what}: there is nothing at {address[1]}",
        why=reasons.rpartition("; ")[2],
        hint="correct the address in the requirements: the file was moved or removed, or needs a password",
        code="PackageNotFound",
    )


def _no_network(text: str, what: str, reasons: str) -> EnvironmentBuildError | None:
    if not re.search(r"Failed to fetch|error sending request|dns error|tcp connect|timed out|Could not connect", text):
        return None
    address = re.search(r"Failed to fetch: `?([^\s`]+)", text)
    own = address is not None and re.search(rf"`[^`\s]+ @ {re.escape(address[1])}`", text)
    return EnvironmentBuildError(
        f"{what}: {address[1] if own and address else 'the package index'} cannot be reached",
        why=f"{address[1]}: {reasons.rpartition('; ')[2]}" if address else reasons,
        hint="check the address, the network and HTTPS_PROXY"
        if own
        else "check the network and HTTPS_PROXY, or name a reachable index in PIP_INDEX_URL",
        code="NoNetwork",
    )


def _disk_full(text: str, what: str, reasons: str) -> EnvironmentBuildError | None:
    if not re.search(r"No space left on device|os error 28", text):
        return None
    return EnvironmentBuildError(
        f"{what}: the disk is full", why=reasons, hint="free disk space, or set MLDEPLOY_CACHE", code="DiskFull"
    )


def _hash_mismatch(text: str, what: str, reasons: str) -> EnvironmentBuildError | None:
    if "Hash mismatch" not in text:
        return None
    # What a build prints may have these words, too: uv's own come before it, and two digests follow them.
    mismatch = re.search(
        rf"{_ORNAMENT}Hash mismatch for `([^`]+)`\s+Expected:\s+(\w+:\w+)\s+Computed:\s+(\w+:\w+)",
        _without_build_output(text),
        re.MULTILINE,
    )
    if mismatch is None:
        return None
    return EnvironmentBuildError(
        f"{what}: a package is not the one that was locked",
        why=f"Hash mismatch for {mismatch[1]}: expected {mismatch[2]}, computed {mismatch[3]}",
        hint="find out who changed the package; a new lock is made when the requirements change",
        code="HashMismatch",
    )


def _repository_failed(text: str, what: str, reasons: str) -> EnvironmentBuildError | None:
    if "Git operation failed" not in text:
        return None
    address = re.search(r"`[^`\s]+ @ (?:git\+)?([^`]+)`", text)
    return EnvironmentBuildError(
        f"{what}: the repository{f' {address[1]}' if address else ''} cannot be fetched",
        why=reasons[: _PRINTED_SHOWN * 2],
        hint="check its address, its commit and that git can read it from here, or build a wheel and name that",
        code="RepositoryUnreachable",
    )


def _build_failed(text: str, what: str, reasons: str) -> EnvironmentBuildError | None:
    if not re.search(r"Failed to build|build backend|Build backend|Failed to download and build", text):
        return None
    name = re.search(r"[Ff]ailed to (?:download and )?build[: ]+`?([A-Za-z0-9._-]+)", text)
    package = name[1].partition("==")[0] if name else "a package"
    printed = re.findall(r"^.*(?:fatal error|[Ee]rror): .*$", text.partition("[stderr]")[2], re.MULTILINE)
    printed = [line.strip() for line in printed if len(line) <= _PRINTED_SHOWN]  # not the command of a compiler
    hint = f"choose a version of {package} that has a wheel for this Python, or install what its build needs"
    return EnvironmentBuildError(
        f"{what}: {package} could not be built from its source",
        why="; ".join([reasons, *printed[:1]]),
        hint=_hint_of_name(package) or hint,
        code="BuildFailed",
    )


def _no_wheel(text: str, what: str, reasons: str) -> EnvironmentBuildError | None:
    found = re.search(r"Because (?:only )?(\S+?) has no (?:usable wheels|wheels with a matching)", text)
    if found is None:
        return None
    package = re.split("[=<>!~]", found[1])[0]
    tags = re.search(rf"wheels for `{re.escape(package)}`[^\n]*?tags?: ([^\n]+)", text)
    pythons = [f"{tag[0]}.{tag[1]}" for tag in re.findall(r"`cp(\d)(\d+)", tags[1])] if tags else []
    usable = [python for python in dict.fromkeys(pythons) if tuple(map(int, python.split("."))) >= floor()]
    hint = f"take a newer version of {package}"
    if name_hint := _hint_of_name(package):
        hint = name_hint
    elif usable:
        hint += f", or write python={usable[-1]} in a conda file: {found[1]} has builds for Python {', '.join(usable)}"
    elif pythons:
        hint += f": {found[1]} has builds for Python {', '.join(pythons)} only, and a service needs {floor_text()} or "
        hint += "newer"
    return EnvironmentBuildError(
        f"{what}: {found[1]} has no build for this Python", why=reasons, hint=hint, code="VersionNotFound"
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


def _many_conflicts(text: str, what: str, reasons: str) -> EnvironmentBuildError | None:
    if "No solution found" not in text:
        return None
    return EnvironmentBuildError(
        f"{what}: no versions of the requirements fit each other and this Python",
        why=reasons,
        hint="require exact versions that belong together, or fewer of these packages: uv tried all their versions",
        code="RequirementsConflict",
    )


# In this order: later messages also occur in the output of earlier cases.
_RULES: list[Callable[[str, str, str], EnvironmentBuildError | None]] = [
    _offline,
    _package_not_found,
    _no_links_folder,
    _index_refused,
    _other_name,
    _nothing_there,
    _no_network,
    _disk_full,
    _hash_mismatch,
    _repository_failed,
    _build_failed,
    _no_wheel,
    _version_not_found,
    _conflict,
]

# For reasons that name many packages, none of which needs to be the one at fault.
_RULES_OF_MANY = [_offline, _index_refused, _no_network, _disk_full, _many_conflicts]


def _hint_of_name(name: str) -> str:
    """The hint for a name that is not a distribution: an import's, or a module of Python itself; "" for any other."""
    distribution = imported_as(name)
    if distribution:
        return f"write {distribution} instead of {name}, which is the name of its import"
    if name in REPLACED:
        return f"write {REPLACED[name]} instead of {name}, which is no longer made or has another name on PyPI"
    if name.replace("-", "_") in sys.stdlib_module_names:
        return f"remove {name} from the requirements: it is part of Python"
    return ""


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _without_build_output(text: str) -> str:
    """uv's own lines: not what a package's build printed, which is indented below [stdout] or [stderr]."""
    kept, inside = [], False
    for line in text.splitlines():
        inside = bool(re.match(r"\s*\[(stdout|stderr)\]", line)) or (inside and (not line or line[0].isspace()))
        if not inside:
            kept.append(line)
    return "\n".join(kept)


def _reasons(text: str) -> str:
    """uv's explanation in one line, without ornaments, warnings and hints; of a long one the end, which concludes."""
    parts: list[list[str]] = []
    inside = False  # inside the explanation
    for line in text.splitlines():
        if re.match(r"(error:|\s{0,2}×)", line):
            inside = True
            parts = [[re.sub(r"^\s*(error:|×)\s*", "", line)]]
        elif re.match(r"\s*(hint:|help:|warning:)", line):
            inside = False
        elif inside and re.match(r"\s*\[(stdout|stderr)\]", line):
            inside = False  # the output of a package's build follows
        elif inside and line.strip():
            part, is_new = re.subn(r"^[\s│]*([├╰]─▶|cause:)\s*", "", line)
            if is_new:
                parts.append([part])
            else:  # the continuation of the line above
                parts[-1].append(part.strip(" │"))
    if len(parts) > 1 and "No solution found" in parts[0][0]:
        del parts[0]
    text = "; ".join(" ".join(part).strip() for part in parts)
    if len(text) <= _REASONS_SHOWN:
        return text
    return re.sub(r"^.*?(?=And because )", "... ", text[-_REASONS_SHOWN:], count=1)
