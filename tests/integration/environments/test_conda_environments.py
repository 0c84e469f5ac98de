"""Conda packages from a channel on disk: really solved, installed and imported."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mldeploy_jupyter.core.environment.conda_file import parse_conda
from mldeploy_jupyter.core.environment.spec import EnvironmentSpec
from mldeploy_jupyter.core.errors import EnvironmentBuildError
from mldeploy_jupyter.environments import PreparedEnvironment, interpreters

Add = Callable[..., None]
Make = Callable[..., PreparedEnvironment]
Specs = Callable[..., EnvironmentSpec]
VERSION = "{}.{}.{}".format(*sys.version_info[:3])
MINOR = "{}.{}".format(*sys.version_info[:2])


def ask(python: str, code: str) -> str:
    return subprocess.run([python, "-c", code], capture_output=True, text=True, check=True, timeout=60).stdout.strip()


def module(name: str, version: str, text: str = "") -> dict[str, bytes]:
    """A Python package as conda carries it, with the metadata that pip and uv see."""
    info = f"site-packages/{name}-{version}.dist-info"
    return {
        f"site-packages/{name}.py": f"VERSION = {version!r}\n{text}".encode(),
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".encode(),
        f"{info}/INSTALLER": b"conda",
        f"{info}/RECORD": b"",
    }


@pytest.fixture
def channel(tmp_path: Path, add_conda_package: Add) -> Path:
    """greet needs words; two versions of words; nothing brings python."""
    folder = tmp_path / "channel"
    add_conda_package(
        folder, "greet", "1.0", depends=("python >=3.8", "words >=2"), files=module("greet", "1.0", "import words")
    )
    for version in ("1.0", "2.1"):
        add_conda_package(folder, "words", version, depends=("python",), files=module("words", version))
    add_conda_package(folder, "helper", "1.1", depends=("python",), files=module("helper", "1.1"))
    return folder


@pytest.fixture
def conda_of(channel: Path, spec_of: Specs) -> Specs:
    """A spec over the channel, with PyPI packages from the wheelhouse."""

    def make(*conda: str, pip: tuple[str, ...] = (), **more: Any) -> EnvironmentSpec:
        more.setdefault("channels", [channel.as_uri()])
        return replace(spec_of(*pip), conda=list(conda), **more)

    return make


def test_a_package_is_solved_installed_and_imported(
    made: Make, conda_of: Specs, channel: Path, lines: list[str], tmp_path: Path
) -> None:
    prepared = made(conda_of("greet", pip=("demo==1.0",), python=MINOR))
    assert (prepared.kind, prepared.built) == ("conda", True)
    assert ask(
        prepared.python, "import greet, demo, httptools; print(greet.VERSION, greet.words.VERSION, demo.VERSION)"
    ) == ("1.0 2.1 1.0")
    assert ask(prepared.python, "import sys; print('%d.%d' % sys.version_info[:2])") == MINOR
    assert " + words=2.1 (conda)" in lines
    conda = [line.split(" sha256:")[0] for line in prepared.lock.splitlines() if line.startswith("# conda ")]
    assert conda == ["# conda greet=1.0=0 noarch", "# conda words=2.1=0 noarch"]
    assert "://" not in prepared.lock and str(tmp_path) not in prepared.lock
    assert ".building" not in ask(prepared.python, "import greet; print(greet.__file__)")
    again = made(conda_of("greet", pip=("demo==1.0",), python=MINOR))
    assert (again.built, again.kind, again.python) == (False, "conda", prepared.python)


@pytest.mark.parametrize("spec", ["words=2.1=0", "words=2.*", "words==2.1", "words 2.1 0"])
def test_a_package_is_read_as_conda_reads_it(made: Make, conda_of: Specs, spec: str) -> None:
    assert "# conda words=2.1=0 noarch" in made(conda_of(spec)).lock


def test_a_build_that_is_gone_leads_to_an_export_without_builds(made: Make, conda_of: Specs) -> None:
    with pytest.raises(EnvironmentBuildError, match="cannot be solved") as caught:
        made(conda_of("words=2.1=pyhd3eb1b0_1"))
    assert "conda env export --no-builds" in caught.value.hint
    with pytest.raises(EnvironmentBuildError, match="'words=!!' is not understood"):
        made(conda_of("words=!!"))


def test_a_lock_kept_elsewhere_installs_the_same(
    made: Make, add_conda_package: Add, conda_of: Specs, channel: Path, tmp_path: Path
) -> None:
    spec = conda_of("words <2")
    first = made(spec)
    add_conda_package(channel, "words", "1.9", depends=("python",), files=module("words", "1.9"))
    again = made(spec, known_lock=first.lock, cache=tmp_path / "another")
    assert again.built and ask(again.python, "import words; print(words.VERSION)") == "1.0"
    add_conda_package(channel, "words", "1.0", depends=("python",), files=module("words", "1.0", "evil = True"))
    with pytest.raises(EnvironmentBuildError) as caught:
        made(spec, known_lock=first.lock, cache=tmp_path / "third")
    assert caught.value.code == "HashMismatch"
    assert list((tmp_path / "third" / "environments").iterdir()) == []


def test_a_python_package_of_conda_is_not_taken_from_pypi_again(made: Make, conda_of: Specs) -> None:
    """demo 2.0 of PyPI needs helper, and conda brings one."""
    prepared = made(conda_of("helper", pip=("demo==2.0",)))
    assert ask(prepared.python, "import demo, helper; print(demo.VERSION, helper.VERSION)") == "2.0 1.1"
    assert "\nhelper==" not in prepared.lock


def test_only_python_and_pip_make_a_plain_venv(made: Make, wheelhouse: Path) -> None:
    """No channel is asked: the one that is named does not exist."""
    content = {
        "channels": ["file:///no/such/channel"],
        "dependencies": [f"python={MINOR}", "pip", {"pip": ["--no-index", f"--find-links {wheelhouse}", "demo==1.0"]}],
    }
    prepared = made(parse_conda(content, folder=wheelhouse))
    assert prepared.kind == "venv" and ask(prepared.python, "import demo; print(demo.VERSION)") == "1.0"


def test_a_python_that_the_machine_lacks_comes_from_the_channel(
    made: Make, add_conda_package: Add, conda_of: Specs, channel: Path
) -> None:
    """The package `python` of this channel is a link to the running one under a version nobody has."""
    odd = f"{MINOR}.97"
    add_python(add_conda_package, channel, odd)
    prepared = made(conda_of("greet", pip=("demo==1.0",), python=odd))
    assert f"# python {odd}\n" in prepared.lock and f"# conda python={odd}=0 " in prepared.lock
    assert ask(prepared.python, "import sys, greet, demo; print(greet.VERSION)") == "1.0"
    assert os.path.realpath(prepared.python) == os.path.realpath(sys.executable)
    alone = made(conda_of(python=odd))
    assert alone.kind == "conda" and ask(alone.python, "import httptools; print(httptools.VERSION)") == "99.0"


def test_compiled_packages_get_the_python_of_their_channel(
    made: Make, add_conda_package: Add, conda_of: Specs, channel: Path
) -> None:
    add_conda_package(channel, "native", "1.0", depends=("python",), files={"lib/native.so": b"\x7fELF"}, noarch=False)
    # The channel has no python: the machine's is used.
    assert "# conda python=" not in made(conda_of("native", python=MINOR)).lock
    add_python(add_conda_package, channel, f"{MINOR}.97")
    prepared = made(conda_of("native", "words", python=MINOR))
    assert f"# conda python={MINOR}.97=0 " in prepared.lock
    assert Path(prepared.python).parent.parent.joinpath("lib/native.so").exists()
    # Pure Python packages alone keep the machine's.
    assert "# conda python=" not in made(conda_of("words", python=MINOR)).lock


def test_another_python_of_the_machine(made: Make, conda_of: Specs) -> None:
    others = [i for i in interpreters() if i.version.startswith(("3.12.", "3.13.")) and not i.version.startswith(MINOR)]
    if not others:
        pytest.skip("this machine has one Python only")
    minor = others[0].version.rpartition(".")[0]
    prepared = made(conda_of("greet", python=minor))
    assert ask(prepared.python, "import sys, greet; print('%d.%d' % sys.version_info[:2])") == minor


def test_what_goes_wrong_is_named(
    made: Make,
    add_conda_package: Add,
    conda_of: Specs,
    channel: Path,
    tmp_path: Path,
    snapshot: object,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    add_conda_package(channel, "httptools", "0.1", depends=("python",), files=module("httptools", "0.1"))
    add_conda_package(channel, "fussy", "1.0", depends=("words <2", "greet"), files=module("fussy", "1.0"))
    add_conda_package(channel, "needy", "1.0", depends=("absent >=3",), files=module("needy", "1.0"))
    found = {}
    for name, spec in {
        "no such package": conda_of("nosuch"),
        "no such version": conda_of("greet >=3"),
        "a conflict": conda_of("fussy"),
        "a dependency nobody has": conda_of("needy"),
        "no such channel": conda_of("greet", channels=["file:///no/such/channel"]),
        "a channel that cannot be reached": conda_of("numpy", channels=["https://127.0.0.1:9/t/secret/channel"]),
        "not a match spec": conda_of("greet ~~ 3"),
        "too old for the server": conda_of("httptools"),
    }.items():
        with pytest.raises(EnvironmentBuildError) as caught:
            made(spec)
        text = f"{caught.value.code}\n{caught.value}".replace(channel.as_uri(), "CHANNEL")
        found[name] = re.sub(r"/channel/(noarch|linux-\w+)/\S+", "/channel/", text).split("; Caused by")[0]
    assert "secret" not in str(found)
    assert found == snapshot
    with pytest.raises(EnvironmentBuildError) as caught:
        made(conda_of("greet", python=f"{MINOR}.98"))
    assert caught.value.code == "PythonNotFound"
    assert VERSION in caught.value.why and "have none either" in caught.value.why
    with pytest.raises(EnvironmentBuildError) as caught:
        made(conda_of("greet", python="3.6.2"))
    assert caught.value.code == "PythonTooOld"


def test_inside_a_running_loop_and_cancelled(made: Make, conda_of: Specs) -> None:
    """A notebook has an event loop; `cancel` is asked while the solver works."""
    import asyncio

    async def cell() -> PreparedEnvironment:
        return made(conda_of("words"))

    assert asyncio.run(cell()).kind == "conda"


def add_python(add_conda_package: Add, channel: Path, version: str) -> None:
    """A package `python` whose prefix works: its python is a link to the running one, as in a virtual environment."""
    base = os.path.realpath(sys.executable)
    files = {"pyvenv.cfg": f"home = {os.path.dirname(base)}\nversion = {VERSION}\n".encode()}
    links = {f"bin/python{MINOR}": base, "bin/python": f"python{MINOR}", "bin/python3": f"python{MINOR}"}
    add_conda_package(channel, "python", version, files=files, links=links, noarch=False)
