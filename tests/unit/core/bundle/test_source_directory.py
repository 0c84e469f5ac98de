"""Which files travel with an entry script."""

from __future__ import annotations

from pathlib import Path

import pytest

from mldeploy_jupyter.core.bundle.source_directory import list_source_files
from mldeploy_jupyter.core.errors import UserErrorException


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def test_without_a_source_directory_imports_are_included(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(
        tmp_path,
        {
            "score.py": "import json, near\ndef init():\n    from pack.deep import x\ndef run(data): ...\n",
            "near.py": "import nearer as n\nimport score\n",
            "nearer.py": "",
            "unused.py": "",
            "pack/__init__.py": "",
            "pack/deep.py": "from . import other\nimport from_pack\n",
            "pack/other.py": "",
            "pack/table.csv": "1",
            "pack/__pycache__/deep.pyc": "",
            "from_pack.py": "",
            "json/readme.txt": "a folder, but no package",
        },
    )
    monkeypatch.chdir(tmp_path)
    files = list_source_files("score.py")
    assert list(files) == [
        *("from_pack.py", "near.py", "nearer.py", "pack/__init__.py", "pack/deep.py", "pack/other.py"),
        *("pack/table.csv", "score.py"),
    ]
    assert all(path.is_absolute() and path.is_file() for path in files.values())


def test_a_source_directory_is_included_without_ignored_files(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "x/score.py": "",
            "data/big.csv": "",
            "data/keep.csv": "",
            "notes.txt": "",
            ".amlignore": "# large\ndata/*\n!data/keep.csv\n*.txt\n",
            ".git/config": "",
            ".mldeploy/store.db": "",
            "__pycache__/a.pyc": "",
            ".ipynb_checkpoints/a.ipynb": "",
            "venv/pyvenv.cfg": "",
            "venv/lib/a.py": "",
            "x/.hidden": "",
        },
    )
    (tmp_path / "x" / "loop").symlink_to(tmp_path)
    assert list(list_source_files("x/score.py", tmp_path)) == [".amlignore", "data/keep.csv", "x/.hidden", "x/score.py"]


def test_the_entry_script_is_included_even_if_a_pattern_ignores_it(tmp_path: Path) -> None:
    write(tmp_path, {"score.py": "", ".amlignore": "*\n"})
    assert list(list_source_files("score.py", tmp_path)) == ["score.py"]


@pytest.mark.parametrize("script", ["nope.py", "../outside.py", "/etc/hostname"])
def test_an_entry_script_outside_or_missing_is_refused(tmp_path: Path, script: str) -> None:
    folder = tmp_path / "src"
    write(tmp_path, {"outside.py": "", "src/a.py": ""})
    with pytest.raises(UserErrorException, match="there is no entry script"):
        list_source_files(script, folder)


def test_too_deep_a_source_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "score.py").touch()
    (tmp_path / "/".join("d" * 200)).mkdir(parents=True)
    with pytest.raises(UserErrorException, match="nested too deeply"):
        list_source_files("score.py", tmp_path)
    (tmp_path / ".amlignore").write_text("/d\n")
    assert list(list_source_files("score.py", tmp_path)) == [".amlignore", "score.py"]


def test_too_large_a_source_directory_is_refused(tmp_path: Path, snapshot: object) -> None:
    write(tmp_path, {"score.py": "", "a.bin": "x" * 3000, "b/c.bin": "x" * 200_000, "d.bin": "x" * 100_000})
    with pytest.raises(UserErrorException) as caught:
        list_source_files("score.py", tmp_path, size_limit=250_000)
    assert str(caught.value).replace(str(tmp_path), "FOLDER") == snapshot
    assert list_source_files("score.py", tmp_path, size_limit=303_000)
