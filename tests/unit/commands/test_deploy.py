"""`mldeploy model deploy` and `mldeploy service update`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from syrupy.assertion import SnapshotAssertion

from mldeploy_jupyter.commands import Command, UsageError, deploy
from mldeploy_jupyter.commands.deploy import keep_keys
from mldeploy_jupyter.core import migration
from mldeploy_jupyter.core.configs import DeployConfig
from mldeploy_jupyter.core.errors import MldeployError
from mldeploy_jupyter.core.records import ModelRecord
from mldeploy_jupyter.core.workspace.folder import create_workspace
from tests.unit.commands.support import check_help, check_usage_error, make_context, notes, run_line

WRONG = [
    "model deploy x --nr 2",
    "model deploy x --tag =v",
    "model deploy",
    "model deploy -f missing.json",
    "model deploy x -m m:1 --es score.py --ev 2",
    "model deploy x -m m:1",
]


@pytest.mark.parametrize("item", deploy.COMMANDS, ids=lambda item: item.name)
def test_help(item: Command, snapshot: SnapshotAssertion) -> None:
    check_help(item, snapshot)


@pytest.mark.parametrize("line", WRONG)
def test_usage_errors(line: str, folder: Path, snapshot: SnapshotAssertion) -> None:
    check_usage_error(line, folder, snapshot)


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b'{"modelId": "a:1"', "it is not valid JSON: expecting ',' delimiter"),
        (b"\xff", "the file is not UTF-8 text"),
        (b"[]", "the file must hold an object (key: value), not a list"),
        (b"{}", "it has no modelId"),
        (b'{"modelId": 3}', "its modelId is 3, not a string"),
    ],
)
def test_a_model_metadata_file_that_cannot_be_used(folder: Path, raw: bytes, why: str) -> None:
    (folder / "meta.json").write_bytes(raw)
    with pytest.raises(UsageError) as caught:
        run_line("model deploy x -f meta.json")
    assert caught.value.why == why


@pytest.mark.parametrize(
    ("words", "model"),
    [
        ("churn", "churn:2"),
        ("big-forest", "Big_Forest:1"),
        ("other", ""),
        ("churn -m none", ""),
        ("churn -m last", ""),
        ("-m last", ""),
    ],
)
def test_without_a_model_it_is_the_one_that_the_service_is_named_after(folder: Path, words: str, model: str) -> None:
    store = create_workspace(folder).open_store()
    for name in ("churn", "churn", "Big_Forest", "last"):
        store.add_model(ModelRecord(name=name))
    context = make_context()
    with pytest.raises(MldeployError, match=r"missing\.py"):
        run_line(f"model deploy {words} --script missing.py", context)
    said = [line for line in notes(context).splitlines() if line.startswith("The model is")]
    assert said == (
        [f"The model is {model}, after the service's name. Choose others with -m, or -m none."] * bool(model)
    )


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (None, {"auth_enabled": True}),
        (DeployConfig("Local", {"port": 8890}), {"port": 8890, "auth_enabled": True}),
        (DeployConfig("Local", {"auth_enabled": False}), {"auth_enabled": False}),
        (DeployConfig("Local", {"token_auth_enabled": True}), {"token_auth_enabled": True}),
    ],
)
def test_a_command_in_a_migrated_notebook_keeps_keys(given: DeployConfig | None, expected: dict[str, Any]) -> None:
    assert keep_keys(given) is given
    migration.begin(migration.Migration())
    try:
        found = keep_keys(given)
    finally:
        migration.end()
    assert found is not None and found.passed == expected
