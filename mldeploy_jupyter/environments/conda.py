"""Conda packages: py-rattler solves and installs them, then uv installs the PyPI part into the same prefix.

Which Python: the machine's own Pythons take part in the solve, as packages named `python`. One of them is used if all
packages found are pure Python (`noarch`): it gives a virtual environment into which the packages are linked. Packages
with compiled code are built against the `python` of their channel, so that one is used if the channel has it.

Channels are searched as they are named. If one cannot be reached, no package is silently taken from PyPI instead: the
error says to move it under `pip:`. Scripts that packages run when an environment is activated are not run.
"""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mldeploy_jupyter.core.environment.distributions import REPLACED, is_system_library
from mldeploy_jupyter.core.environment.spec import (
    DEFAULT_CHANNELS,
    EnvironmentSpec,
    python_accepts,
    python_alternatives,
)
from mldeploy_jupyter.core.errors import EnvironmentBuildError
from mldeploy_jupyter.environments import pythons, venv
from mldeploy_jupyter.environments.lock_text import conda_pins, locked_python
from mldeploy_jupyter.environments.server_packages import server_requirements
from mldeploy_jupyter.environments.types import Cancel, Emit, Interpreter, never
from mldeploy_jupyter.environments.uv import Uv

if TYPE_CHECKING:
    from rattler import RepoDataRecord

MACHINE = "file:///this-machine/"  # the made-up channel of the machine's own Pythons; never opened

_REASON_SHOWN = 2000  # characters, at most, of the solver's reason


@dataclass(frozen=True)
class Solution:
    """A solved environment. `records` are the packages to install, without a Python of the machine."""

    records: list[RepoDataRecord]
    python_version: str
    machine_python: bool


def solve(
    spec: EnvironmentSpec,
    *,
    kernel_python: str,
    root: Path,
    emit: Emit,
    cancel: Cancel,
    offline: bool = False,
) -> Solution:
    """The conda packages for `spec` and the Python to run them.

    Raises `EnvironmentBuildError` with the solver's reason, and whatever `cancel` raises.
    """
    channels = _channels(spec)
    emit("log", f"solving {', '.join(spec.conda) or 'python'} from {', '.join(_redact(c) for c in channels)}")
    found = pythons.interpreters(kernel_python)
    usable = [
        item for item in found if pythons.is_supported(item.version) and python_accepts(spec.python, item.version)
    ]
    solver = _Solver(channels, root, offline, cancel)
    machine: Solution | None = None
    failure: EnvironmentBuildError | None = None
    if usable:
        try:
            machine = solver.solve([*spec.conda, _python_spec(spec)], usable, prefer=usable[0])
        except EnvironmentBuildError as error:
            if error.code != "CondaConflict":
                raise
            failure = error
        if machine is not None and all(record.subdir == "noarch" for record in machine.records):
            return _checked(machine, emit)
    try:  # a Python of a channel, which compiled packages were built against
        return _checked(solver.solve([*spec.conda, _python_spec(spec)], []), emit)
    except EnvironmentBuildError as error:
        if error.code != "CondaConflict":
            raise
        if machine is not None:  # the channels have no such Python, but packages that fit the machine's
            return _checked(machine, emit)
        if failure is None and re.search(r"[Nn]o candidates were found for python|python .*no candidates", error.why):
            raise pythons.no_python_error(spec.python, found, [_redact(channel) for channel in channels]) from None
        raise failure or error from None


def python_names(solution: Solution) -> list[str]:
    """The PyPI names of the Python packages among the conda packages, which uv must not install again."""
    names = []
    for record in solution.records:
        name = record.name.normalized
        if name != "python" and any(depend.split()[0] == "python" for depend in record.depends):
            names.append(REPLACED.get(name, name).replace("_", "-"))
    return sorted(names)


def _check_server_requirements(solution: Solution) -> None:
    """Raises `EnvironmentBuildError` when a conda package does not fit the scoring server's requirements."""
    from packaging.requirements import Requirement

    versions = {record.name.normalized: str(record.version) for record in solution.records}
    for text in server_requirements():
        requirement = Requirement(text)
        version = versions.get(requirement.name)
        if version is not None and not requirement.specifier.contains(version, prereleases=True):
            raise EnvironmentBuildError(
                "the environment cannot be locked: a conda package contradicts the scoring server's requirement",
                why=f"conda gives {requirement.name}={version}, the server needs {text}",
                hint=f"ask for {requirement.name}{requirement.specifier} in the conda file",
                code="ServerRequirementsConflict",
            )


def build_conda(
    folder: Path, final: Path, lock: str, spec: EnvironmentSpec, uv: Uv, *, kernel_python: str
) -> dict[str, Any]:
    """Installs the packages of `lock` into `folder`, which will be moved to `final`. Returns its marker.

    Raises `EnvironmentBuildError`, also for a package that is not the one in the lock, and whatever `uv.cancel` raises.
    """
    version, machine = link_conda(folder, final, lock, spec, uv, kernel_python=kernel_python, root=final.parent.parent)
    venv.install_pip(folder, lock, uv)
    return {"kind": "conda", "python_version": version, "base": machine[0].path if machine else ""}


def link_conda(
    folder: Path, final: Path, lock: str, spec: EnvironmentSpec, uv: Uv, *, kernel_python: str, root: Path
) -> tuple[str, list[Interpreter]]:
    """Installs the conda packages of `lock` into `folder`, which will be moved to `final`.

    `root` is the folder of caches. Returns the version of Python, and the machine's Python unless a channel gives it.
    Raises as `build_conda` does.
    """
    from rattler import install

    locked = conda_pins(lock)
    version = locked_python(lock)
    machine: list[Interpreter] = []  # the machine's Python, unless one comes from a channel
    if not any(pin.name == "python" for pin in locked):
        machine = [pythons.select(version, kernel_python)]
        venv.build_venv(folder, "", machine[0], uv)
    solver = _Solver(_channels(spec), root, uv.offline, uv.cancel)
    specs = [f"{pin.name} =={pin.version} {pin.build}" for pin in locked]
    records = solver.solve([*specs, f"python =={version}"], machine).records
    wanted = {pin.name: pin.sha256 for pin in locked}
    for record in records:
        found = record.sha256.hex() if record.sha256 else "none"
        if wanted.get(record.name.normalized) != found:
            raise EnvironmentBuildError(
                f"the environment cannot be built: {record.name.normalized} is not the package that was locked",
                why=f"the lock has sha256 {wanted.get(record.name.normalized)}, the channel {found}",
                hint="find out who changed the channel; a new lock is made when the conda file changes",
                code="HashMismatch",
            )
    for record in records:
        uv.emit("log", f" + {record.name.normalized}={record.version} (conda)")
    installing = install(
        records + ([_machine_record(machine[0])] if machine else []),
        folder,
        cache_dir=root / "conda-packages",
        ignored_packages={"python"} if machine else None,
        alternative_target_prefix=final,
        show_progress=False,
    )
    try:
        run_cancellable(installing, uv.cancel)
    except Exception as error:
        if isinstance(error, EnvironmentBuildError) or not _from_rattler(error):
            raise
        raise _explain(error, spec.conda) from None
    return version, machine


class _Solver:
    """Solves with the same channels and cache. `solve` raises `EnvironmentBuildError` with the solver's reason."""

    def __init__(self, channels: list[str], root: Path, offline: bool, cancel: Cancel) -> None:
        self.channels, self.root, self.offline, self.cancel = channels, root, offline, cancel

    def solve(self, specs: list[str], machine: list[Interpreter], prefer: Interpreter | None = None) -> Solution:
        from rattler import Gateway, SourceConfig, VirtualPackage, solve

        config = SourceConfig(cache_action="force-cache-only") if self.offline else None
        gateway = Gateway(cache_dir=self.root / "conda-repodata", default_config=config)
        # First: with strict channel priority, the channels' own `python` packages are then not considered.
        sources: list[Any] = [*([_MachineSource(machine)] if machine else []), *self.channels]
        try:
            coroutine = solve(
                sources,
                [_match_spec(spec) for spec in specs],
                gateway=gateway,
                locked_packages=[_machine_record(prefer)] if prefer else None,
                virtual_packages=VirtualPackage.detect(),
            )
            records = run_cancellable(coroutine, self.cancel)
        except Exception as error:
            if not _from_rattler(error):
                raise
            raise _explain(error, [spec for spec in specs if not spec.startswith("python")]) from None
        python = next(record for record in records if record.name.normalized == "python")
        installed = [record for record in records if not (machine and record is python)]
        return Solution(installed, str(python.version), bool(machine))


class _MachineSource:
    """Offers the Pythons of this machine to the solver as packages named `python`."""

    def __init__(self, interpreters: list[Interpreter]) -> None:
        self.interpreters = interpreters

    async def fetch_package_records(self, platform: Any, name: Any) -> list[RepoDataRecord]:
        if name.normalized != "python" or str(platform) == "noarch":
            return []
        by_version = {item.version: item for item in reversed(self.interpreters)}
        return [_machine_record(item) for item in by_version.values()]

    def package_names(self, platform: Any) -> list[str]:
        return ["python"]


def _machine_record(interpreter: Interpreter) -> RepoDataRecord:
    from rattler import BuildString, PackageRecord, RepoDataRecord, Subdir, VersionWithSource

    subdir = str(Subdir.current())
    file = f"python-{interpreter.version}-machine.conda"
    record = PackageRecord("python", VersionWithSource(interpreter.version), BuildString("machine"), 0, subdir)
    return RepoDataRecord(record, file, f"{MACHINE}{subdir}/{file}", MACHINE)


def _channels(spec: EnvironmentSpec) -> list[str]:
    """The channels as rattler takes them: "defaults" is Anaconda's `main`, a folder becomes a file address."""
    channels = []
    for channel in spec.channels or DEFAULT_CHANNELS:
        if channel == "defaults":
            channel = "main"
        channels.append(Path(channel).as_uri() if channel.startswith("/") else channel)
    return channels


def _python_spec(spec: EnvironmentSpec) -> str:
    low = f">={pythons.floor_text()}"
    if spec.python is None:
        return f"python {low}"
    asked = python_alternatives(spec.python)
    return "python " + "|".join(f"{one}.*" if re.fullmatch(r"[\d.]+", one) else f"{one},{low}" for one in asked)


def _checked(solution: Solution, emit: Emit) -> Solution:
    """The solution, if it fits the scoring server's requirements. Raises `EnvironmentBuildError` otherwise."""
    _check_server_requirements(solution)
    where = "this machine" if solution.machine_python else "the channel"
    emit("log", f"Python {solution.python_version} ({where}), {len(solution.records)} conda packages")
    return solution


def run_cancellable(coroutine: Coroutine[Any, Any, Any], cancel: Cancel = never) -> Any:
    """The result of a coroutine, run in a thread of its own because a notebook's thread has an event loop already.

    Raises whatever the coroutine raises, and whatever `cancel` raises, once the coroutine is cancelled.
    """
    done: Future[Any] = Future()
    loop = asyncio.new_event_loop()
    task: asyncio.Task[Any] = loop.create_task(coroutine)

    def work() -> None:
        try:
            done.set_result(loop.run_until_complete(task))
        except BaseException as error:
            done.set_exception(error)
        finally:
            loop.close()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        while True:
            thread.join(0.1)
            if done.done():
                return done.result()
            cancel()
    except BaseException:
        if not done.done():
            loop.call_soon_threadsafe(task.cancel)
            thread.join()
        raise


def _match_spec(text: str) -> Any:
    """What the solver takes, read as conda reads it: `name=version=build` and `name=version.*`, too.

    Raises `EnvironmentBuildError`.
    """
    from rattler import MatchSpec

    try:
        return MatchSpec(text, strict=False)
    except Exception as error:
        if not _from_rattler(error):
            raise
        raise EnvironmentBuildError(
            f"the conda package {text!r} is not understood",
            why=str(error),
            hint="write it as name=1.2 in the conda file",
            code="CondaFileInvalid",
        ) from None


def describe_doing_without(packages: list[str]) -> str:
    """What to do with conda packages where their channel cannot be had: those of PyPI go under `pip:`."""
    if not packages:
        return "install that Python on this machine"
    on_pypi = [package for package in packages if not is_system_library(_bare_name(package))]
    if not on_pypi:
        return f"remove {', '.join(packages)}: wheels on PyPI include such libraries"
    names = ", ".join(map(pip_spelling, on_pypi))
    rest = "" if len(on_pypi) == len(packages) else "; remove the rest, which wheels on PyPI include"
    return f"write what PyPI has under `pip:` in the conda file: {names}{rest}"


def _bare_name(package: str) -> str:
    return re.split(r"[^\w.-]", package.partition("::")[2] or package, maxsplit=1)[0]


def pip_spelling(package: str) -> str:
    """A conda package as a line of pip: `six=1.16.0=py_1` as `six==1.16.0`, and `numpy=1.26` as `numpy==1.26.*`."""
    package = package.partition("::")[2] or package
    bare = _bare_name(package)
    name, rest = REPLACED.get(bare.lower(), bare), package[len(bare) :].strip()
    if rest.startswith("["):
        in_brackets = re.search(r"""version=["']?([^"'\]]+)""", rest)
        rest = in_brackets[1] if in_brackets else ""
    rest = rest.strip("() ")
    one_version = re.fullmatch(r"=?=? ?([^\s=,|<>!~]+)(?:[= ]([\w.*]+))?", rest)
    if one_version is None:
        return name + rest.replace(" ", "")
    version, build = one_version.groups()
    if version == "*":
        return name
    fuzzy = not build and re.match(r"=[^=]", rest)
    prefix = fuzzy and version.count(".") < 2 and re.fullmatch(r"[\d.]+", version)
    return f"{name}=={version}{'.*' if prefix else ''}"


def _from_rattler(error: Exception) -> bool:
    return type(error).__module__.split(".")[0] in ("rattler", "exceptions")


def _explain(error: Exception, packages: list[str]) -> EnvironmentBuildError:
    """rattler's error as one with a name, recognised by its class and message."""
    text = _redact(str(error))
    parts = [re.sub(r"^[\s│├└─]+", "", line) for line in text.splitlines() if line.strip()]
    reason = re.sub(r"(:|would require); ", r"\1 ", "; ".join(parts))[:_REASON_SHOWN]  # one line of a drawn tree
    cls = type(error).__name__
    if cls == "SolverError":
        hint = "change the version named above in the conda file, or add the channel that has it"
        if any(re.match(r"[\w.-]+=[^=]+=[^=]+$", package) for package in packages):
            hint = "builds belong to one system and are removed in time: export again without them, with "
            hint += "conda env export --no-builds (or --from-history)"
        return EnvironmentBuildError(
            "the conda packages cannot be solved",
            why=re.sub(r"^Cannot solve the request because of: ", "", reason),
            hint=hint,
            code="CondaConflict",
        )
    if cls in ("InvalidMatchSpecError", "InvalidChannelError", "InvalidVersionSpecError"):
        return EnvironmentBuildError(
            "the conda file cannot be used", why=reason, hint='write a package as "name=1.2"', code="CondaFileInvalid"
        )
    if re.search(r"error sending request|dns error|tcp connect|timed out|cache", text):
        return EnvironmentBuildError(
            "the conda channel cannot be reached",
            why=reason,
            hint=f"check the network and HTTPS_PROXY, or {describe_doing_without(packages)}",
            code="ChannelUnreachable",
        )
    if "could not find subdir" in text or "404" in text:
        return EnvironmentBuildError(
            "there is no such conda channel",
            why=reason,
            hint="correct the name under `channels:` in the conda file",
            code="ChannelNotFound",
        )
    return EnvironmentBuildError("the conda packages cannot be installed", why=reason, hint="see the log above")


def _redact(text: str) -> str:
    """`text` without the passwords and tokens in addresses."""
    return re.sub(r"/t/[^/\s]+/", "/t/****/", re.sub(r"(://)[^/@\s]+@", r"\1****@", text))
