"""Read-only attributes that come from a record."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from mldeploy_jupyter.api.record_attribute import RecordAttribute


@dataclass
class Record:
    files: dict[str, int]


class Thing:
    files = RecordAttribute(lambda record: sorted(record.files), "Names of its files.")

    def __init__(self, record: Record) -> None:
        self.record = record


def test_the_value_is_read_from_the_current_record() -> None:
    thing = Thing(Record({"b": 1, "a": 2}))
    assert thing.files == ["a", "b"]
    thing.record = Record({})
    assert thing.files == []


def test_it_cannot_be_assigned() -> None:
    with pytest.raises(AttributeError, match="attribute 'files' of 'Thing' object cannot be assigned"):
        Thing(Record({})).files = []


def test_the_class_has_its_documentation() -> None:
    assert Thing.files.__doc__ == "Names of its files."
