from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from mldeploy_jupyter.core.errors import UserErrorException
from mldeploy_jupyter.core.keys import ServiceKeys, are_confirmed, confirm_keys, ensure_keys, read_keys, replace_key


def test_keys_are_generated_once(tmp_path: Path) -> None:
    first = ensure_keys(tmp_path / "keys.json")
    assert ensure_keys(tmp_path / "keys.json") == first
    assert first.primary != first.secondary and len(first.primary) >= 32


def test_given_keys_replace_those_in_the_file(tmp_path: Path) -> None:
    ensure_keys(tmp_path / "keys.json")
    assert ensure_keys(tmp_path / "keys.json", "chosen-primary").primary == "chosen-primary"


def test_only_the_owner_can_read_the_file(tmp_path: Path) -> None:
    ensure_keys(tmp_path / "keys.json")
    assert (tmp_path / "keys.json").stat().st_mode & 0o777 == 0o600
    assert {path.name for path in tmp_path.iterdir()} == {"keys.json", ".keys.json.lock", "keys.json.unconfirmed"}


def test_new_keys_are_unconfirmed_until_the_service_has_them(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    assert are_confirmed(path)
    ensure_keys(path)
    assert not are_confirmed(path)
    confirm_keys(path)
    ensure_keys(path)
    assert are_confirmed(path)
    replace_key(path, "Primary")
    assert not are_confirmed(path)


@pytest.mark.parametrize("name", ["Primary", "primary", "PRIMARY"])
def test_replacing_one_key_leaves_the_other(tmp_path: Path, name: str) -> None:
    before = ensure_keys(tmp_path / "keys.json")
    after = replace_key(tmp_path / "keys.json", name)
    assert after.primary != before.primary and after.secondary == before.secondary
    assert read_keys(tmp_path / "keys.json") == after


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Third", None),
        (3, None),
        ("Primary", "ümlaut"),
        ("Primary", ""),
        ("Primary", 5),
        ("Primary", "with space here"),
    ],
)
def test_a_wrong_name_or_value_changes_nothing(tmp_path: Path, name: str, value: str | None) -> None:
    before = ensure_keys(tmp_path / "keys.json")
    with pytest.raises(UserErrorException):
        replace_key(tmp_path / "keys.json", name, value)
    assert read_keys(tmp_path / "keys.json") == before


@pytest.mark.parametrize("same", ["primary", "secondary"])
def test_a_key_in_use_is_refused_as_the_new_key(tmp_path: Path, same: str) -> None:
    before = ensure_keys(tmp_path / "keys.json")
    with pytest.raises(UserErrorException, match="the key cannot be used"):
        replace_key(tmp_path / "keys.json", "Secondary", getattr(before, same))
    assert read_keys(tmp_path / "keys.json") == before


def test_repr_shows_no_key(tmp_path: Path) -> None:
    assert "secret" not in repr(ServiceKeys("secret-one", "secret-two"))


def test_a_keys_file_of_an_earlier_version_gets_a_token_secret(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    path.write_text('{"primaryKey": "p", "secondaryKey": "s"}')  # as an earlier version wrote it
    keys = ensure_keys(path)
    assert (keys.primary, keys.secondary) == ("p", "s") and len(keys.token_secret) >= 32
    assert ensure_keys(path) == keys and keys.token_secret not in repr(keys)


def test_a_new_token_secret_leaves_the_keys(tmp_path: Path) -> None:
    before = ensure_keys(tmp_path / "keys.json")
    after = replace_key(tmp_path / "keys.json", "Token")
    assert after.token_secret != before.token_secret
    assert (after.primary, after.secondary) == (before.primary, before.secondary)
    with pytest.raises(UserErrorException, match="the key cannot be used"):
        replace_key(tmp_path / "keys.json", "Token", "mine")


REPLACE = """
import sys
from pathlib import Path
from mldeploy_jupyter.core import keys
for number in range(150):
    keys.replace_key(Path(sys.argv[1]), sys.argv[2], f"{sys.argv[2]}-{number:05d}")
"""


def test_two_processes_replace_one_key_each(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    ensure_keys(path)
    both = [subprocess.Popen([sys.executable, "-c", REPLACE, str(path), name]) for name in ("Primary", "Secondary")]
    assert [process.wait(60) for process in both] == [0, 0]
    left = read_keys(path)
    assert left is not None and (left.primary, left.secondary) == ("Primary-00149", "Secondary-00149")
