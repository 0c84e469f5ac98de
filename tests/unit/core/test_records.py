"""A record is read from whatever a row or a file holds."""

from __future__ import annotations

from typing import Any

import pytest

from mldeploy_jupyter.core.records import DeploymentRecord, LeaseRecord, ModelRecord, RevisionRecord, ServiceRecord

KINDS = (ModelRecord, ServiceRecord, RevisionRecord, DeploymentRecord, LeaseRecord)

WRONG: tuple[Any, ...] = (None, 1, 1.5, "text", [1], {"a": 1}, True)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("wrong", WRONG, ids=repr)
def test_a_value_of_another_type_is_the_default(kind: Any, wrong: Any) -> None:
    record = kind.from_stored({**dict.fromkeys(kind.__dataclass_fields__, wrong), "unknown": wrong})
    for name, field in kind.__dataclass_fields__.items():
        allowed = [one.partition("[")[0] for one in str(field.type).split(" | ")]
        found = type(getattr(record, name)).__name__.replace("NoneType", "None")
        assert found in (*allowed, "int", "bool")  # a bool is an int, and an int does for a float


def test_a_right_record_is_read_as_it_is() -> None:
    service = ServiceRecord("svc", "aks", "AKS", tags={"a": "b"}, error={"what": "x"}, revision=3)
    assert ServiceRecord.from_stored(service.to_dict()) == service
    assert LeaseRecord.from_stored({"service": "s", "holder": "h", "expires": 1}) == LeaseRecord("s", "h", 1)
