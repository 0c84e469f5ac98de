"""The record of what serves is believed only as far as it goes."""

from __future__ import annotations

from mldeploy_jupyter.targets.docker.live_record import (
    FILE,
    LiveRecord,
    mark_changing,
    read_record,
    remove_record,
    write_record,
)


def test_a_record_is_read_as_it_was_written(tmp_path):
    record = LiveRecord("c1", 3, "deployment-3", 8890, "unix:///x")
    write_record(tmp_path / "churn", record)
    assert read_record(tmp_path / "churn") == record
    mark_changing(tmp_path / "churn", "deployment-4", "unix:///x")
    assert read_record(tmp_path / "churn") == LiveRecord("c1", 3, "deployment-3", 8890, "unix:///x", "deployment-4")
    remove_record(tmp_path / "churn")
    remove_record(tmp_path / "churn")
    assert read_record(tmp_path / "churn") == LiveRecord()


def test_a_damaged_record_and_one_of_a_later_version_are_read(tmp_path):
    (tmp_path / FILE).write_text('{"container": "c1", "revision": 2, "unknown": 1}')
    assert read_record(tmp_path) == LiveRecord("c1", 2)
    for text in ("{", "[]", '{"container": 1}', '{"revision": "2"}'):
        (tmp_path / FILE).write_text(text)
        assert read_record(tmp_path) == LiveRecord()
