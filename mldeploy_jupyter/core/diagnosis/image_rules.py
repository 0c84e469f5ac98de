"""Rules about base images and the steps of a build. Failures come from `images`."""

from __future__ import annotations

import re
from collections.abc import Callable

from mldeploy_jupyter.core.diagnosis.cause import Cause
from mldeploy_jupyter.core.diagnosis.facts import Facts, shorten
from mldeploy_jupyter.core.diagnosis.source_map import UNKNOWN_LOCATION

OTHER_BASE = "choose another base_image, such as python:3.12-slim"


def base_unfit(facts: Facts) -> Cause | None:
    """A base image that neither server nor environment can run on."""
    make = _BASE.get(facts.code)
    return make(facts) if make is not None else None


def build_step_failed(facts: Facts) -> Cause | None:
    if facts.code != "build-step-failed":
        return None
    tail = facts.log_tail
    for rule in (_untrusted_index, _no_index, _no_python, _package_not_built, _package_missing):
        cause = rule(facts, "\n".join(tail))
        if cause is not None:
            return cause
    step, status = str(facts.failure.get("step") or "a step"), facts.failure.get("exit_code")
    reason = _reason(facts, r"^(error|E|ERROR|fatal): ") or _reason(facts, r"(?i)error|fail|not found|cannot")
    reason = reason or shorten(facts.last_log_line or facts.message, 300)
    why = f"exit code {status}: {reason}" if status is not None else reason
    hint = f"correct the step and {facts.deploy_hint()}: the steps before it are used again"
    return _cause(facts, f"a step of the image's build failed: {shorten(step, 120)}", why, hint, exit_code=status)


def _musl(facts: Facts) -> Cause:
    why = f"{facts.message}, and the packages of Python environments are built for glibc"
    return _cause(facts, f"the base image {_image(facts)} cannot run the service", why, f"{OTHER_BASE}, not alpine")


def _old_libc(facts: Facts) -> Cause:
    why = f"{facts.message}, and {_text(facts, 'oldest')} is the oldest that packages are built for"
    return _cause(facts, f"the base image {_image(facts)} is too old", why, OTHER_BASE)


def _no_libc(facts: Facts) -> Cause:
    return _cause(facts, f"the base image {_image(facts)} cannot run the service", facts.message, OTHER_BASE)


def _no_shell(facts: Facts) -> Cause:
    why = f"{facts.message}, which the steps of a build need"
    hint = f'{OTHER_BASE}, or build without the engine: builder="oci" (--builder oci)'
    return _cause(facts, f"the base image {_image(facts)} cannot be built on", why, hint)


def _no_apt(facts: Facts) -> Cause:
    packages = ", ".join(facts.texts("packages"))
    hint = (
        "install them with the base's own tool in extra_docker_file_steps, or choose a base image with Debian or Ubuntu"
    )
    return _cause(facts, f"the system packages {packages} cannot be installed", facts.message, hint)


def _not_linux(facts: Facts) -> Cause:
    what = f"the base image {_image(facts)} is for another system"
    return _cause(facts, what, facts.message, OTHER_BASE)


def _silent(facts: Facts) -> Cause:
    return _cause(facts, f"the base image {_image(facts)} cannot be examined", facts.message, OTHER_BASE)


def _untrusted_index(facts: Facts, log: str) -> Cause | None:
    if not re.search(r"invalid peer certificate|CERTIFICATE_VERIFY_FAILED|UnknownIssuer", log):
        return None
    what = "the package index has no certificate that the build trusts"
    hint = f"set SSL_CERT_FILE to the certificates of your network's authority, then {facts.deploy_hint()}"
    return _cause(
        facts,
        what,
        _reason(facts, "peer certificate|CERTIFICATE_VERIFY|UnknownIssuer"),
        f"{hint}; they do not go into the image",
    )


def _no_index(facts: Facts, log: str) -> Cause | None:
    silent = r"dns error|failed to lookup|error sending request|[Cc]onnection refused|timed out|failure in name resol"
    if not re.search(silent, log) or not re.search(r"Failed to (fetch|download)|Request failed|apt|pip", log):
        return None
    if "cpython-3" in log:
        return _no_python(facts, log)
    what = "the package index cannot be reached from the build's container"
    hint = "behind a proxy, set HTTPS_PROXY; for an index of your own, set UV_DEFAULT_INDEX; they do not go into the "
    return _cause(facts, what, _reason(facts, "resolve|lookup|request|refused|timed out|fetch"), f"{hint}image")


def _no_python(facts: Facts, log: str) -> Cause | None:
    wanted = re.search(r"cpython-(\d+\.\d+)|No interpreter found for Python (\d+\.\d+)|Python (\d+\.\d+)", log)
    if not re.search(r"Failed to (download|install)\S* .*cpython-3|No interpreter found", log):
        return None
    version = next((part for part in (wanted.groups() if wanted else ()) if part), "")
    what = f"the base image has no Python {version}, and it could not be downloaded".replace("  ", " ")
    base = f"choose a base_image that has it, such as python:{version or '3.12'}-slim"
    hint = f"{base}, install Python {version} in extra_docker_file_steps".replace("  ", " ")
    hint += ", or set UV_PYTHON_INSTALL_MIRROR to a mirror of python-build-standalone"
    return _cause(facts, what, _reason(facts, "error|failed|cause|No interpreter"), hint, python=version)


def _package_not_built(facts: Facts, log: str) -> Cause | None:
    found = re.search(r"Failed to (?:download and )?build[: ]+`?([A-Za-z0-9._-]+==[^`\s]+)`?", log)
    if found is None:
        return None
    name = found[1].partition("==")[0]
    why = f"{name} has no wheel for this Python and platform, and its build failed"
    if tool := re.search(
        r"(?:command|program) '?`?(gcc|cc|g\+\+|clang|cargo|cmake|gfortran)\b|(gcc|cc|cargo): not found", log
    ):
        why += f": the base image has no {tool[1] or tool[2]}"
    hint = f"choose a version of {name} that has one, or add a compiler with extra_docker_file_steps"
    return _cause(facts, f"the package {found[1]} cannot be built in the image", why, hint, package=found[1])


def _package_missing(facts: Facts, log: str) -> Cause | None:
    found = re.search(r"Unable to locate package (\S+)|Package '?(\S+?)'? has no installation candidate", log)
    if found is not None:
        name = found[1] or found[2]
        hint = "correct its name; the base image's distribution decides how packages are called"
        return _cause(facts, f"there is no system package {name}", _reason(facts, "E: "), hint, package=name)
    found = re.search(
        r"Because (\S+) was not found|[Nn]o solution found .* (\S+==\S+)|there is no version of (\S+)", log
    )
    hashed = re.search(r"[Hh]ash mismatch for `?([^`\s]+)`?", log)
    if hashed is not None:
        why = "the index has another file than the one that was locked"
        hint = "find out who changed the index; a new lock is made when the environment changes"
        return _cause(facts, f"the package {hashed[1]} is not the one that was locked", why, hint, package=hashed[1])
    if found is None:
        return None
    name = next(part for part in found.groups() if part)
    hint = (
        f"make the index that has {name} known to the build: set UV_DEFAULT_INDEX, or --index-url in the requirements"
    )
    why = _reason(facts, "Because|solution|version|found")
    return _cause(facts, f"the package index of the build does not have {name}", why, hint, package=name)


_BASE: dict[str, Callable[[Facts], Cause]] = {
    "base-musl": _musl,
    "base-old-libc": _old_libc,
    "base-no-libc": _no_libc,
    "base-no-shell": _no_shell,
    "base-no-apt": _no_apt,
    "base-not-linux": _not_linux,
    "base-silent": _silent,
}


def _reason(facts: Facts, pattern: str) -> str:
    """The last line of the log that says why, without the words before it; "" when none does."""
    found = next((line for line in reversed(facts.log_tail) if re.search(pattern, line)), "")
    return shorten(re.sub(r"^(?:error|cause|Caused by|E|ERROR): ", "", found.strip()), 300)


def _cause(facts: Facts, what: str, why: str, hint: str, **data: object) -> Cause:
    step = _text(facts, "step")
    return facts.cause(facts.code, what, why, hint, UNKNOWN_LOCATION, image=_image(facts), step=step, **data)


def _text(facts: Facts, name: str) -> str:
    value = facts.failure.get(name)
    return shorten(str(value)) if isinstance(value, str) and value else ""


def _image(facts: Facts) -> str:
    return _text(facts, "image")
