"""`.amlignore` follows the rules of git."""

from __future__ import annotations

import random
import shutil
import subprocess
from pathlib import Path

import pytest

from mldeploy_jupyter.core.bundle.ignore_file import is_ignored, parse_patterns


@pytest.mark.parametrize(
    ("patterns", "path", "folder", "ignored"),
    [
        ("*.csv", "a/b.csv", False, True),
        ("/b.csv", "a/b.csv", False, False),
        ("a/*.csv", "a/x/b.csv", False, False),
        ("a/**/b.csv", "a/x/y/b.csv", False, True),
        ("a/**/b.csv", "a/b.csv", False, True),
        ("data/", "data", True, True),
        ("data/", "data", False, False),
        ("x[0-9].t?t", "x1.txt", False, True),
        ("x[!0-9]", "x1", False, False),
        ("*.csv\n!keep.csv", "keep.csv", False, False),
        ("\\#a", "#a", False, True),
        ("# a", "# a", False, False),
    ],
)
def test_ignore_patterns(patterns: str, path: str, folder: bool, ignored: bool) -> None:
    assert is_ignored(parse_patterns(patterns), path, folder=folder) is ignored


FILES = [
    *("b.csv", "a.csv", "a/b.csv", "a/x/b.csv", "src/a.py", "src/b/c.py", "src/b.csv", "src/data/k.py"),
    *("data/keep.csv", "data/z", "x1", "xa"),
]
LINES = [
    *("*", "*/", "/*", "**", "**/*", "*.csv", "a", "a/", "/a", "src", "src/", "/src/", "src/*", "src/**", "data/"),
    *("data/*", "data/**", "data/keep.csv", "x[!0-9]", "b.*", "**/b.csv", "*.py", "src/*.py", "a/x", "**/data"),
]


def list_ignored(text: str) -> set[str]:
    """The `FILES` that are ignored, or are below an ignored folder."""
    patterns = parse_patterns(text)
    ignored = set()
    for file in FILES:
        parts = file.split("/")
        paths = ["/".join(parts[:count]) for count in range(1, len(parts) + 1)]
        if any(is_ignored(patterns, path, folder=path != file) for path in paths):
            ignored.add(file)
    return ignored


@pytest.mark.skipif(shutil.which("git") is None, reason="compares with git")
def test_files_are_ignored_as_by_git(tmp_path: Path) -> None:
    """Includes the usual allow list: `*`, then `!*/` and `!*.py`."""
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    chooser = random.Random(20)
    texts = ["*\n!*/\n!*.py", "/*\n!/src/", "src/\n!src/a.py"]
    texts += ["\n".join(chooser.choice(("", "", "!")) + chooser.choice(LINES) for _ in range(3)) for _ in range(100)]
    for text in texts:
        (tmp_path / ".gitignore").write_text(text)
        command = ["git", "check-ignore", "--no-index", "--stdin"]
        answer = subprocess.run(command, cwd=tmp_path, input="\n".join(FILES), capture_output=True, text=True)
        assert list_ignored(text) == set(answer.stdout.split()), text


@pytest.mark.parametrize("pattern", ["[z-a]", "[!]", "a[\\]b", "[a\\]", "[[:nothing:]]", "[", "\\"])
def test_a_pattern_that_cannot_match_ignores_nothing_and_breaks_nothing(pattern: str) -> None:
    patterns = parse_patterns(f"{pattern}\n*.csv\n")
    assert not is_ignored(patterns, "score.py", folder=False) and is_ignored(patterns, "data.csv", folder=False)
