"""A workspace with a file and a folder to register, and the texts of errors."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from mldeploy_jupyter.api.workspace import Workspace
from mldeploy_jupyter.core.errors import MldeployError

CollectErrors = Callable[[dict[str, Callable[[], object]]], dict[str, str]]


@pytest.fixture
def ws(folder: Path) -> Workspace:
    (folder / "m.pkl").write_bytes(b"model")
    (folder / "tree" / "deep").mkdir(parents=True)
    (folder / "tree" / "a.txt").write_bytes(b"a")
    (folder / "tree" / ".hidden").write_bytes(b"h")
    (folder / "tree" / "deep" / "b.txt").write_bytes(b"b")
    return Workspace.create("test")


@pytest.fixture
def collect_errors(folder: Path) -> CollectErrors:
    """Calls each case, which must raise an error with cause and hint, and returns class and text by case."""

    def collect(cases: dict[str, Callable[[], object]]) -> dict[str, str]:
        texts = {}
        for case, call in cases.items():
            with pytest.raises(MldeployError) as caught:
                call()
            assert caught.value.what and caught.value.why and caught.value.hint
            texts[case] = f"{type(caught.value).__name__}\n" + str(caught.value).replace(str(folder), "FOLDER")
        return texts

    return collect
