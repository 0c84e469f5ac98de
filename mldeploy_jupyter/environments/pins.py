"""Exact pins of the packages that provide some modules, read by the interpreter that imported them."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable

from mldeploy_jupyter.core.environment.spec import EnvironmentSpec
from mldeploy_jupyter.core.errors import EnvironmentBuildError
from mldeploy_jupyter.environments.current import lock_current

TIMEOUT = 60.0  # seconds

# Runs in that interpreter, on the standard library alone. Reads module names as JSON, prints their distributions.
SCRIPT = """
import importlib.metadata as metadata, importlib.util, json, sys, urllib.parse
owners = metadata.packages_distributions()
names = {name.partition(".")[0] for name in json.load(sys.stdin)} - set(sys.stdlib_module_names)
owned = {owner for name in names for owner in owners.get(name, ())}
found = []
editable = []
for distribution in metadata.distributions():
    url = json.loads(distribution.read_text("direct_url.json") or "{}")
    if url.get("dir_info", {}).get("editable"):
        folder = urllib.parse.unquote(urllib.parse.urlsplit(url["url"]).path)
        editable.append((folder.rstrip("/") + "/", distribution.metadata["Name"]))
for name in names - set(owners):  # an editable install lists no modules; the folder of a module tells
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        continue
    places = [spec.origin or "", *(spec.submodule_search_locations or ())] if spec else []
    owned.update(owner for folder, owner in editable if any(place.startswith(folder) for place in places))
for name in sorted(owned):
    distribution = metadata.distribution(name)
    url = json.loads(distribution.read_text("direct_url.json") or "{}")
    local = "editable" if url.get("dir_info", {}).get("editable") else "folder" if "dir_info" in url else ""
    found.append([distribution.metadata["Name"], distribution.version, local])
print(json.dumps(found))
"""


def capture(modules: Iterable[str], python: str) -> list[str]:
    """The pins, such as "numpy==2.1.0", of the distributions that `modules` belong to in the interpreter `python`.

    Sorted, without the standard library and modules that no distribution has. A distribution installed from a local
    folder cannot be pinned; it becomes a comment, "# local: name==1.0 (editable)", so that the lines are a requirements
    file that never installs another package of that name from the index.
    Raises `EnvironmentBuildError` when the interpreter does not answer within 60 seconds.
    """
    try:
        done = subprocess.run(
            [python, "-P", "-c", SCRIPT],  # a types.py in the current folder is not part of Python
            input=json.dumps(sorted(set(modules))),
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
        )
        found = json.loads(done.stdout.splitlines()[-1])
    except (OSError, subprocess.TimeoutExpired, ValueError, IndexError) as error:
        raise EnvironmentBuildError(
            f"the packages of {python} cannot be read",
            why=str(error),
            hint="check that this interpreter starts",
            code="PythonNotFound",
        ) from None
    lines = {
        f"# local: {name}=={version} ({local})" if local else f"{name}=={version}" for name, version, local in found
    }
    return sorted(lines, key=lambda line: (line.startswith("#"), line.lower()))


# The pins that were captured last, by interpreter, digest of its packages and modules: capturing starts an interpreter.
_last_pins: dict[tuple[str, str, frozenset[str]], list[str]] = {}


def pin_modules(modules: Iterable[str], python: str) -> EnvironmentSpec:
    """An environment with the packages of `modules`, in the versions that the interpreter `python` has.

    What these need in turn has its version there, too. Raises `EnvironmentBuildError` for a package that was installed
    from a local folder, which no index has.
    """
    current = lock_current(python)
    key = (python, current.digest, frozenset(modules))
    pins = _last_pins.get(key)
    if pins is None:
        pins = capture(key[2], python)
        _last_pins.clear()
        _last_pins[key] = pins
    local = [line.removeprefix("# local: ") for line in pins if line.startswith("#")]
    if local:
        raise EnvironmentBuildError(
            "the script uses packages that no other machine has",
            why=f"installed from a local folder: {', '.join(local)}",
            hint="put their code beside the script, and name the other packages with --requirements-file",
            code="LocalPackages",
        )
    names = {pin.partition("==")[0] for pin in pins}
    others = [line for line in current.text.splitlines() if line and not line.startswith("#")]
    constraints = [line for line in others if line.partition("==")[0] not in names]
    return EnvironmentSpec(python=current.python_version, pip=pins, constraints=constraints)
