"""Results as text, and values read from words."""

from __future__ import annotations

from pathlib import Path

import pytest

from mldeploy_jupyter.commands import UsageError
from mldeploy_jupyter.commands.formatting import check_writable, listing, pairs, split_filters, table


def test_a_table_is_aligned_and_none_is_a_dash() -> None:
    assert table([("churn", 1), ("a", None)], ("NAME", "VERSION")).splitlines() == [
        "NAME   VERSION",
        "churn  1",
        "a      -",
    ]


def test_a_listing_leaves_out_empty_values() -> None:
    assert listing({"name": "churn", "tags": {}, "description": None, "ports": [1]}) == "name:  churn\nports: [1]"


def test_pairs_and_filters() -> None:
    assert pairs(["a=1", "b", "c=x=y"], "--tag") == {"a": "1", "b": "", "c": "x=y"}
    assert pairs(None, "--tag") is None
    assert split_filters(["a=1", "b", "c="]) == [["a", "1"], "b", ["c", ""]]
    assert split_filters(None) == []
    with pytest.raises(UsageError, match="--tag cannot be '=1'"):
        pairs(["=1"], "--tag")


def test_checking_that_a_file_is_writable_leaves_none_behind(folder: Path) -> None:
    check_writable("new.json", "-t")
    assert not (folder / "new.json").exists()
    (folder / "old.json").write_text("{}")
    check_writable("old.json", "-t")
    assert (folder / "old.json").read_text() == "{}"
