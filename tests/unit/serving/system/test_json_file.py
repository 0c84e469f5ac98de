"""Small JSON files."""

from __future__ import annotations

from pathlib import Path

from mldeploy_jupyter.serving.system.json_file import read_json, remove_unfinished, write_json


def test_files_are_replaced_whole_and_private(tmp_path: Path) -> None:
    path = tmp_path / "live.json"
    write_json(path, {"a": 1})
    write_json(path, {"a": 2})
    assert read_json(path) == {"a": 2}
    assert path.stat().st_mode & 0o777 == 0o600
    assert [p.name for p in tmp_path.iterdir()] == ["live.json"]
    path.write_text('{"a"')
    assert read_json(path) is None
    assert read_json(tmp_path / "none.json") is None


def test_what_a_killed_process_was_about_to_put_in_place_is_removed(tmp_path: Path) -> None:
    kept = {"live.json", "keys.json", ".keys.json.12.ab12cd34.tmp", "control.sock", ".lock"}
    for name in kept | {".live.json.next", ".live.json.next.12.34", ".supervisor.json.12.34"}:
        (tmp_path / name).touch()
    remove_unfinished(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == kept
