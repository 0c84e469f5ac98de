"""A line of a script is named as a line of the cell that wrote it, also after the cell was changed."""

from __future__ import annotations

import os
import stat
import threading
from datetime import UTC, timedelta, timezone

import pytest

from mldeploy_jupyter.core.script.notebook_cells import (
    CellRecord,
    cell_excerpt,
    describe_line,
    find_cell,
    lines_around,
    newest_version,
    save_cell,
    script_digest,
)

CELL = (
    "%%entry_script score.py\nimport joblib\n\ndef init():\n    raise ValueError\n\ndef run(data):\n    return data\n"
)
SCRIPT = CELL.partition("\n")[2]


def record(source=CELL, **more):
    script = source.partition("\n")[2]
    fields = {"execution_count": 3, "time": "2026-11-22T14:03:05.000Z", "cell_id": "a1", "notebook": "n.ipynb"} | more
    return CellRecord(script_digest(script), "score.py", source, **fields)


def test_the_line_of_the_script_is_named_as_the_line_of_the_cell(tmp_path):
    saved = save_cell(tmp_path / "cells", record())
    found = find_cell(tmp_path / "cells", script_digest(SCRIPT))
    assert found == saved
    assert describe_line(found, 4, timezone=UTC) == "cell [3] line 5, run at 14:03"
    assert describe_line(found, 4, timezone=timezone(timedelta(hours=2))) == "cell [3] line 5, run at 16:03"
    assert describe_line(found, 4, newest=found.version, timezone=UTC) == "cell [3] line 5, run at 14:03"
    assert [line["text"] for line in cell_excerpt(found, 4) if line["guilty"]] == ["    raise ValueError"]
    assert [line["line"] for line in cell_excerpt(found, 4, context=1)] == [4, 5, 6]


def test_an_edited_cell_leaves_the_old_lines_right_and_the_new_version_is_named(tmp_path):
    save_cell(tmp_path, record())
    edited = "%%entry_script score.py\n# a new first line\n" + SCRIPT
    save_cell(tmp_path, record(edited, execution_count=4))
    old = find_cell(tmp_path, script_digest(SCRIPT))
    newest = newest_version(tmp_path, "score.py")
    assert newest == 2
    said = describe_line(old, 4, newest=newest, timezone=UTC)
    assert said == "cell [3] line 5, run at 14:03, version 1; version 2 was run since"
    assert cell_excerpt(old, 4)[2] == {"line": 5, "text": "    raise ValueError", "guilty": True}


def test_versions_count_changes_of_the_text(tmp_path):
    other = CELL + "# changed\n"
    versions = [save_cell(tmp_path, record(source)).version for source in (CELL, CELL, other, other, CELL)]
    assert versions == [1, 1, 2, 2, 3]
    assert newest_version(tmp_path, "score.py") == 3
    assert newest_version(tmp_path, "other.py") == 0


def test_the_same_text_for_two_files_is_two_records(tmp_path):
    save_cell(tmp_path, record())
    later = CellRecord(script_digest(SCRIPT), "b.py", CELL, time="2026-11-23T00:00:00.000Z")
    assert save_cell(tmp_path, later).version == 1
    assert find_cell(tmp_path, script_digest(SCRIPT)).file == "b.py"


def test_the_last_fifty_texts_of_a_file_are_kept(tmp_path):
    save_cell(tmp_path, CellRecord(script_digest("x"), "other.py", "x", time="t"))
    for number in range(60):
        save_cell(tmp_path, record(f"%%entry_script score.py\n# {number}\n"))
    assert len(list(tmp_path.glob("*.json"))) == 51
    assert find_cell(tmp_path, script_digest("# 9\n")) is None
    assert find_cell(tmp_path, script_digest("# 10\n")).version == 11
    assert find_cell(tmp_path, script_digest("x")) is not None


def test_files_are_private_and_whole(tmp_path):
    folder = tmp_path / "a" / "cells"
    save_cell(folder, record())
    modes = {stat.S_IMODE(os.stat(path).st_mode) for path in folder.iterdir()}
    assert modes == {0o600} and stat.S_IMODE(os.stat(folder).st_mode) == 0o700
    assert not list(folder.glob("*.tmp"))


def test_two_kernels_at_once_give_out_every_version_once(tmp_path):
    versions, barrier = [], threading.Barrier(4)

    def run(kernel):
        barrier.wait()
        for number in range(10):
            versions.append(save_cell(tmp_path, record(f"%%entry_script\n# {kernel} {number}\n")).version)

    threads = [threading.Thread(target=run, args=(kernel,)) for kernel in range(4)]
    [thread.start() for thread in threads], [thread.join() for thread in threads]
    assert sorted(versions) == list(range(1, 41))


def test_a_broken_record_counts_as_missing(tmp_path):
    save_cell(tmp_path, record())
    (path,) = tmp_path.glob("*.json")
    for content in ("", "{", "[]", '{"file": 1}', "null"):
        path.write_text(content)
        assert find_cell(tmp_path, script_digest(SCRIPT)) is None
    assert save_cell(tmp_path, record()).version == 1


def test_odd_text_survives(tmp_path):
    odd = record("%%entry_script\n# \udc80 \u2028 \0 é 漢\n")
    save_cell(tmp_path, odd)
    assert find_cell(tmp_path, odd.script_digest).source == odd.source


def test_a_record_without_prompt_and_time_names_the_line_only():
    bare = CellRecord("d", "score.py", "a\nb\n", time="not a time")
    assert describe_line(bare, 1) == "cell line 2"


@pytest.mark.parametrize("line", [0, -1, 99])
def test_a_line_out_of_range_has_no_excerpt(line):
    assert lines_around("a\nb", line) == []


def test_a_record_of_wrong_types_ends_nothing(tmp_path):
    saved = save_cell(tmp_path, record())
    (path,) = tmp_path.glob("*.json")
    for content in (
        "",
        "[1]",
        '{"version": "x", "file": [], "source": 5}',
        path.read_text().replace('"version": 1', '"version": "x"'),
    ):
        path.write_text(content)
        assert save_cell(tmp_path, record()).version == saved.version
