"""Azure ML's own settings file is found by the rules of SDK v1."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mldeploy_jupyter.core.errors import WorkspaceError
from mldeploy_jupyter.core.workspace.azure_config import find_azure_config

AZURE = {"subscription_id": "s", "resource_group": "g", "workspace_name": "w"}


def test_the_nearest_config_of_azure_is_found(folder: Path) -> None:
    deep = folder / "a" / "b"
    deep.mkdir(parents=True)
    assert find_azure_config(deep) is None
    (folder / "a" / "config.json").write_text('{"model": "of something else"}')
    assert find_azure_config(deep) is None
    (folder / "config.json").write_text("\ufeff" + json.dumps(AZURE))
    assert find_azure_config(deep) == (folder / "config.json", AZURE)
    (folder / ".azureml").mkdir()
    (folder / ".azureml" / "config.json").write_text(json.dumps({**AZURE, "workspace_name": "x", "other": 1}))
    assert find_azure_config(deep) == (folder / ".azureml" / "config.json", {**AZURE, "workspace_name": "x"})
    (deep / "prod.json").write_text(json.dumps(AZURE))
    assert find_azure_config(deep / "prod.json") == (deep / "prod.json", AZURE)
    assert find_azure_config(deep, "prod.json") == (deep / "prod.json", AZURE)


@pytest.mark.parametrize("content", ['{"workspace_name": 3}', "no json"])
def test_an_unusable_azure_config_is_explained(folder: Path, content: str, snapshot) -> None:
    (folder / "azure.json").write_text(content)
    with pytest.raises(WorkspaceError) as caught:
        find_azure_config(folder / "azure.json")
    assert str(caught.value).replace(str(folder), "FOLDER") == snapshot
