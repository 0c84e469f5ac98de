"""`Webservice`: looking services up, their attributes, and arguments that are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mldeploy_jupyter.api.models import Model
from mldeploy_jupyter.api.webservices import (
    LocalWebservice,
    Webservice,
)
from mldeploy_jupyter.api.workspace import Workspace
from mldeploy_jupyter.core.errors import MldeployError, UserErrorException, WebserviceNotFound


def test_looking_services_up_creates_no_workspace(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "config.json").write_text('{"subscription_id": "s", "resource_group": "g", "workspace_name": "w"}')
    ws = Workspace.from_config()
    assert Webservice.list(ws) == []
    later = LocalWebservice(ws, "abc", must_exist=False)
    later.delete()
    for call in (
        lambda: Webservice(ws, "abc"),
        lambda: later.state,
        lambda: Webservice.deserialize(ws, {"name": "abc"}),
    ):
        with pytest.raises(WebserviceNotFound, match="there is no service 'abc'"):
            call()
    with pytest.raises(UserErrorException, match="there is no model 'nope'"):
        Model.deploy(ws, "abc", ["nope"], None)
    with pytest.raises(MldeployError):
        Model.register(ws, "/dev/null", "m")
    assert [path.name for path in folder.iterdir()] == ["config.json"]
    assert capsys.readouterr().out == "there is no service abc: nothing to delete\n"


def test_a_service_has_no_image(ws: Workspace) -> None:
    service = Webservice(ws, "on-local")
    assert (service.image, service.image_id, service.image_digest) == (None, None, None)


def test_deserialize_looks_the_service_up(ws: Workspace) -> None:
    service = Webservice.deserialize(ws, Webservice(ws, "on-local").serialize())
    assert isinstance(service, LocalWebservice) and service.name == "on-local"
    with pytest.raises(UserErrorException, match="does not describe a service"):
        Webservice.deserialize(ws, {})


def test_run_takes_one_input_under_either_name(ws: Workspace) -> None:
    service = Webservice(ws, "on-local")
    for arguments in ({}, {"input_data": 1, "input": 2}):
        with pytest.raises(UserErrorException, match=r"run\(\) needs one input"):
            service.run(**arguments)


@pytest.mark.parametrize(
    "call",
    [
        lambda service: service.get_logs(-3),
        lambda service: service.get_logs("x"),
        lambda service: service.get_logs(2.5),
        lambda service: next(service.follow_logs(None)),
        lambda service: service.wait_for_deployment(timeout_sec="x"),
        lambda service: service.wait_for_deployment(timeout_sec=float("nan")),
        lambda service: service.regen_key("Secondary", 5),
        lambda service: service.rollback(0),
        lambda service: service.rollback("1"),
        lambda service: service.update(models=[""]),
        lambda service: Webservice.list(service.workspace, tags=[5]),
        lambda service: Webservice.list(service.workspace, tags=[["t"]]),
        lambda service: Webservice.list(service.workspace, properties=[["t", "1", "2"]]),
    ],
)
def test_an_argument_that_cannot_be_used_is_named(ws: Workspace, call: Any) -> None:
    with pytest.raises(UserErrorException) as caught:
        call(Webservice(ws, "on-local"))
    assert caught.value.what and caught.value.why and caught.value.hint
