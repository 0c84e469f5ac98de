"""Installs a lock for another platform than this machine, from wheels only: the environment of a container image.

What is written depends on lock and platform alone: scripts name the interpreter of the image, compiled modules carry
no times, and no path of this machine stays. Nothing of the environment is run.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from mldeploy_jupyter.core.compiled_modules import compile_modules
from mldeploy_jupyter.core.environment.spec import EnvironmentSpec
from mldeploy_jupyter.core.errors import EnvironmentBuildError
from mldeploy_jupyter.core.files import make_private_dir
from mldeploy_jupyter.environments import pythons
from mldeploy_jupyter.environments.cache import cache_root
from mldeploy_jupyter.environments.lock_text import conda_pins, locked_python, pip_names, requirement_name
from mldeploy_jupyter.environments.types import Cancel, Emit, Interpreter, never, silent
from mldeploy_jupyter.environments.uv import Uv, UvError
from mldeploy_jupyter.environments.uv_errors import explain_failure
from mldeploy_jupyter.environments.venv import make_venv

PREFIX = "/opt/venv"  # where the environment will be in the image

ARCHITECTURES = {"linux/amd64": "x86_64", "linux/arm64": "aarch64"}
CONDA_PLATFORMS = {"linux/amd64": "linux-64", "linux/arm64": "linux-aarch64"}

# The minor versions of glibc 2 that uv has names for. Wheels for an older one run on a newer one.
GLIBC_MINORS = (17, 28, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40)

# What a virtual environment of uv has beside its packages.
_SCAFFOLD = re.compile(
    r"(CACHEDIR\.TAG|\.gitignore|\.lock|pyvenv\.cfg|lib64|conda-meta(/.*)?"
    r"|bin/(python[\d.]*|pythonw|activate.*|deactivate.*|pydoc\.bat)"
    r"|lib/python[\d.]+/site-packages/_virtualenv\.(pth|py))"
)


@dataclass(frozen=True)
class PlatformEnvironment:
    """An environment in a folder. `python` is its version, up to the minor; `has_python` says that it brings its own.

    `compiled` says whether its modules are compiled.
    """

    python: str
    has_python: bool = False
    compiled: bool = True


def install_for_platform(
    lock: str,
    platform: str,
    folder: Path,
    *,
    glibc: tuple[int, int] = (2, 28),
    prefix: str = PREFIX,
    spec: EnvironmentSpec | None = None,
    kernel_python: str | None = None,
    cache: Path | None = None,
    emit: Emit = silent,
    cancel: Cancel = never,
    offline: bool = False,
) -> PlatformEnvironment:
    """Installs the packages of `lock` into the new folder `folder`, as they will be in `prefix` of an image.

    `platform` is "linux/amd64" or "linux/arm64", `glibc` the version that the image has. `spec` gives options of pip
    and channels of conda. Modules are compiled where this machine has a Python of the lock's minor version.

    Raises `EnvironmentBuildError`: with code SourceOnly for a package without a wheel, LinkScripts for a conda package
    that must run a script, and PlatformUnknown.
    """
    import sys

    if platform not in ARCHITECTURES:
        raise EnvironmentBuildError(
            f"an environment for {platform} cannot be made here",
            why=f"known are {', '.join(ARCHITECTURES)}",
            hint="build the image with the Docker engine",
            code="PlatformUnknown",
        )
    refuse_sources(lock)
    version = locked_python(lock)
    minor = version.rpartition(".")[0]
    kernel = kernel_python or sys.executable
    same = _interpreter(minor, kernel)
    uv = Uv(emit=emit, cancel=cancel, offline=offline, options=list(spec.pip_options) if spec else [])
    make_private_dir(folder.parent)
    own = False
    if conda_pins(lock):
        own = _install_conda(lock, platform, folder, prefix, spec, uv, kernel, cache)
    else:
        make_venv(folder, same or pythons.select(None, kernel), uv)
    _install_wheels(folder, lock, platform, glibc, uv)
    _remove_scaffold(folder, own)
    _rename_version(folder, minor)
    changed = _rewrite_scripts(folder, f"{prefix}/bin/python")
    compiler = str(folder / "bin" / f"python{minor}") if own else same.path if same is not None else ""
    if compiler:
        _compile(folder, prefix, compiler, cancel)
    else:
        emit("log", f"modules are compiled when the container starts: there is no Python {minor} on this machine")
    _rewrite_records(folder, changed)
    return PlatformEnvironment(minor, own, bool(compiler))


def install_conda_for_platform(
    lock: str,
    platform: str,
    folder: Path,
    *,
    prefix: str = PREFIX,
    spec: EnvironmentSpec | None = None,
    kernel_python: str | None = None,
    cache: Path | None = None,
    emit: Emit = silent,
    cancel: Cancel = never,
    offline: bool = False,
) -> None:
    """Installs the conda packages of `lock`, and nothing else, into the new folder `folder`: a part of `prefix`.

    Their link scripts stay in it, for a builder that can run them. The arguments are those of `install_for_platform`,
    and so are the errors.
    """
    import sys

    uv = Uv(emit=emit, cancel=cancel, offline=offline)
    make_private_dir(folder.parent)
    kernel = kernel_python or sys.executable
    own = _link_conda(lock, platform, folder, prefix, spec, uv, kernel, cache)
    _remove_scaffold(folder, own)
    _rewrite_scripts(folder, f"{prefix}/bin/python")


def refuse_sources(lock: str) -> None:
    """Raises `EnvironmentBuildError` for a lock with packages that are not wheels: they would have to be built."""
    lines = [line for line in lock.splitlines() if line and not line.startswith((" ", "#"))]
    sources = [
        line.rstrip(" \\")
        for line in lines
        if " @ " in line and not re.search(r"\.whl([#\s;?].*)?$", line.rstrip(" \\"))
    ]
    if sources:
        raise _source_only(", ".join(requirement_name(line) for line in sources), f"the lock names {sources[0]}")


def tag_of(platform: str, glibc: tuple[int, int]) -> str:
    """uv's name of a platform whose image has this version of glibc."""
    fitting = [minor for minor in GLIBC_MINORS if glibc[0] == 2 and minor <= glibc[1]] or [GLIBC_MINORS[0]]
    return f"{ARCHITECTURES[platform]}-manylinux_2_{fitting[-1]}"


def _source_only(names: str, why: str) -> EnvironmentBuildError:
    return EnvironmentBuildError(
        f"the image cannot be built without an engine: {names} has no wheel for it",
        why=why,
        hint="build it with a Docker engine (builder docker), or take a version that has a wheel",
        code="SourceOnly",
    )


def _interpreter(minor: str, kernel_python: str) -> Interpreter | None:
    try:
        return pythons.select(minor, kernel_python)
    except EnvironmentBuildError:
        return None


def _install_wheels(folder: Path, lock: str, platform: str, glibc: tuple[int, int], uv: Uv) -> None:
    if not pip_names(lock):
        return
    path = folder / "mldeploy.lock"
    path.write_text(lock, "utf-8")
    allowed = [option for option in uv.options if not option.startswith(("--no-binary", "--only-binary"))]
    command = ["pip", "install", "--python", str(folder / "bin" / "python"), "--no-deps", "--only-binary", ":all:"]
    command += ["--python-platform", tag_of(platform, glibc), "--python-version", locked_python(lock)]
    try:
        replace(uv, folder=folder, options=allowed).run([*command, "--requirements", str(path)])
    except UvError as error:
        found = explain_failure(error.output, doing="built")
        missing = re.search(
            r"(?:Because (?:only )?)?(\S+?) has no (?:usable wheels|wheels with a matching)", error.output
        )
        if missing is not None:
            raise _source_only(missing[1], found.why) from None
        raise found from None
    finally:
        path.unlink(missing_ok=True)


def _install_conda(
    lock: str,
    platform: str,
    folder: Path,
    prefix: str,
    spec: EnvironmentSpec | None,
    uv: Uv,
    kernel: str,
    cache: Path | None,
) -> bool:
    """Installs the conda packages of the lock, none of which has a script. Returns whether a Python is among them."""
    own = _link_conda(lock, platform, folder, prefix, spec, uv, kernel, cache)
    scripts = sorted(path.name for path in (folder / "bin").glob(".*-link.sh"))
    if scripts:
        names = sorted(
            {re.sub(r"^\.(.*)-(pre|post)-link\.sh$", r"\1", name) for name in scripts if "unlink" not in name}
        )
        if names:
            raise EnvironmentBuildError(
                f"the image cannot be built without an engine: {', '.join(names)} must run a script when installed",
                why=f"the conda package has {scripts[0].lstrip('.')}",
                hint="build it with a Docker engine (builder docker), or write the package under `pip:`",
                code="LinkScripts",
            )
    return own


def _link_conda(
    lock: str,
    platform: str,
    folder: Path,
    prefix: str,
    spec: EnvironmentSpec | None,
    uv: Uv,
    kernel: str,
    cache: Path | None,
) -> bool:
    """Installs the conda packages of the lock, without running scripts. Returns whether a Python is among them."""
    from mldeploy_jupyter.environments.conda import link_conda

    foreign = sorted({pin.subdir for pin in conda_pins(lock)} - {"noarch", CONDA_PLATFORMS[platform]})
    if foreign:
        raise EnvironmentBuildError(
            f"the image cannot be built for {platform}",
            why=f"the environment's conda packages were solved for {', '.join(foreign)}",
            hint=f"build an image for that platform, or deploy from a machine of {platform}",
            code="PlatformUnknown",
        )
    link_conda(folder, Path(prefix), lock, spec or EnvironmentSpec(), uv, kernel_python=kernel, root=cache_root(cache))
    return any(pin.name == "python" for pin in conda_pins(lock))


def _remove_scaffold(folder: Path, own_python: bool) -> None:
    for path in sorted(_walk(folder), reverse=True):
        name = path.relative_to(folder).as_posix()
        keeps = own_python and name.startswith(("bin/python", "lib64"))
        has_times = path.suffix == ".pyc" or path.name == "uv_cache.json"
        if has_times or (_SCAFFOLD.fullmatch(name) and not keeps):
            path.unlink()
    if (folder / "lib64").is_symlink():
        (folder / "lib64").unlink()
    for root, folders, _ in os.walk(folder, topdown=False):
        for name in folders:
            path = Path(root, name)
            if not path.is_symlink() and not any(path.iterdir()):
                path.rmdir()


def _rename_version(folder: Path, minor: str) -> None:
    """The folders of packages are named after the Python that will run them, not after the one that installed them."""
    for parent in (folder / "lib", folder / "include" / "site"):
        for found in parent.glob("python3.*"):
            if found.name != f"python{minor}" and (parent.name != "lib" or (found / "site-packages").is_dir()):
                found.rename(parent / f"python{minor}")
    (folder / "lib" / f"python{minor}" / "site-packages").mkdir(parents=True, exist_ok=True)


def _rewrite_scripts(folder: Path, python: str) -> set[Path]:
    """Has the scripts name the image's interpreter. Returns those that were changed."""
    changed = set()
    relocatable = re.compile(rb"\A#!/bin/sh\n'''exec' [^\n]*\n' '''\n")
    named = re.compile(rb"\A#![^\n]*python[\d.]*w?([^\n]*)\n")
    for path in sorted((folder / "bin").glob("*")) if (folder / "bin").is_dir() else []:
        if path.is_symlink() or not path.is_file():
            continue
        content = path.read_bytes()
        new = relocatable.sub(f"#!{python}\n".encode(), content, count=1)
        new = new if new != content else named.sub(f"#!{python}".encode() + rb"\1\n", content, count=1)
        if new != content:
            _replace(path, new)
            changed.add(path)
    return changed


def _replace(path: Path, content: bytes) -> None:
    """Replaces a file: it may be a hard link into uv's cache, which must not change."""
    mode = path.stat().st_mode & 0o777
    path.unlink()
    path.write_bytes(content)
    path.chmod(mode)


def _compile(folder: Path, prefix: str, python: str, cancel: Cancel) -> None:
    files = (path for path in (folder / "lib").rglob("*.py") if not path.is_symlink())
    compile_modules(python, {path: f"{prefix}/{path.relative_to(folder).as_posix()}" for path in files}, cancel)


def _rewrite_records(folder: Path, changed: set[Path]) -> None:
    """Sorts the list of files of each package, and has it tell of the scripts that were changed."""
    for record in sorted((folder / "lib").glob("python3.*/site-packages/*.dist-info/RECORD")):
        site = record.parent.parent
        rows = []
        for row in csv.reader(io.StringIO(record.read_text("utf-8"))):
            path = Path(os.path.normpath(site / row[0])) if row else site
            if not row or row[0].endswith(".pyc") or not path.is_file():
                continue
            if path in changed:
                content = path.read_bytes()
                digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
                row = [row[0], f"sha256={digest}", str(len(content))]
            rows.append(row)
        out = io.StringIO()
        csv.writer(out, lineterminator="\n").writerows(sorted(rows))
        _replace(record, out.getvalue().encode())


def _walk(folder: Path) -> Iterator[Path]:
    for root, folders, names in os.walk(folder):
        yield from (Path(root, name) for name in names)
        yield from (Path(root, name) for name in folders if os.path.islink(os.path.join(root, name)))


def install_python(
    version: str,
    platform: str,
    folder: Path,
    *,
    cache: Path | None = None,
    emit: Emit = silent,
    cancel: Cancel = never,
    offline: bool = False,
) -> str:
    """Puts a relocatable Python of the version's minor into the new folder `folder`. Returns its full version.

    uv downloads it once, from where `UV_PYTHON_INSTALL_MIRROR` says. Raises `EnvironmentBuildError`.
    """
    architecture = ARCHITECTURES[platform]
    minor = ".".join(version.split(".")[:2])
    store = cache_root(cache) / "pythons"
    make_private_dir(store)
    uv = replace(Uv(emit=emit, cancel=cancel, offline=offline), downloads=True)
    wanted = f"cpython-{minor}-linux-{architecture}-gnu"
    found = _standalone(store, minor, architecture)
    if found is None:
        try:
            uv.run(["python", "install", wanted, "--install-dir", str(store), "--no-bin"], with_index=False)
        except UvError as error:
            reasons = explain_failure(error.output, doing="built").why
            raise EnvironmentBuildError(
                f"the base image has no Python {minor}, and none can be downloaded",
                why=reasons,
                hint=f"name a base image that has Python {minor}, such as python:{minor}-slim, build with an engine "
                "and install it in extra_docker_file_steps, or set UV_PYTHON_INSTALL_MIRROR",
                code="PythonNotFound",
            ) from None
        found = _standalone(store, minor, architecture)
    if found is None:
        raise EnvironmentBuildError(
            f"the base image has no Python {minor}, and none can be downloaded",
            why=f"uv put none into {store}",
            hint=f"name a base image that has Python {minor}, such as python:{minor}-slim",
            code="PythonNotFound",
        )
    shutil.copytree(found, folder, symlinks=True)
    for path in _walk(folder):
        if path.suffix == ".pyc":
            path.unlink()
    return found.name.split("-")[1]


def _standalone(store: Path, minor: str, architecture: str) -> Path | None:
    found = [path for path in store.glob(f"cpython-{minor}.*-linux-{architecture}-gnu") if (path / "bin").is_dir()]
    return max(
        found, key=lambda path: [int(part) for part in re.findall(r"\d+", path.name.split("-")[1])], default=None
    )
