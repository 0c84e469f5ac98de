"""`ModelPackage`: what it says while it is made, once it is made, and when it cannot be; no image is built."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mldeploy_jupyter.api.models.package import ModelPackage, package, registry_of
from mldeploy_jupyter.api.workspace import Workspace
from mldeploy_jupyter.core.errors import MldeployError, UserErrorException, WebserviceException
from mldeploy_jupyter.core.files import read_json, write_json
from mldeploy_jupyter.core.journal.journal import Journal
from mldeploy_jupyter.deployment import packages


def made(ws: Workspace, **changes: Any) -> ModelPackage:
    """A package with this record, and two lines of log."""
    id = packages.begin_package(ws.folder, packages.PackageRequest(["m:1"], dockerfile=bool(changes.get("dockerfile"))))
    path = packages.package_folder(ws.folder, id) / packages.RECORD
    write_json(path, {**read_json(path), "state": "Succeeded", **changes})
    journal = Journal(packages.package_journal(ws.folder, id))
    journal.write("image", "started")
    journal.write("image", "log", "grüße")
    journal.write("image", "log", "\x1b[31mred")
    journal.close()
    return ModelPackage(ws, id)


def test_a_package_as_v1_s_data(ws: Workspace) -> None:
    image = made(ws, location="here:5000/own:1", image_id="sha256:1", digest="sha256:2", receipt={"base": "b"})
    data = image.serialize()
    assert data["packageType"] == "WebServiceDockerImage" and data["location"] == image.location
    assert (data["imageId"], data["imageDigest"], data["modelIds"]) == ("sha256:1", "sha256:2", ["m:1"])
    assert (image.image_id, image.image_digest, image.receipt()) == ("sha256:1", "sha256:2", {"base": "b"})
    assert data["buildLogUri"].startswith("file://") and data["error"] is None
    assert "Succeeded" in repr(image) and image.get_container_registry().address == "here:5000"
    assert made(ws, dockerfile=True).serialize()["packageType"] == "DockerBuildContext"


def test_the_log_is_text_or_bytes_from_an_offset(ws: Workspace) -> None:
    image = made(ws)
    assert image.get_logs() == "grüße\n\x1b[31mred\n"
    assert image.get_logs(decode=False) == "grüße\n\x1b[31mred\n".encode()
    assert image.get_logs(offset=8) == "\x1b[31mred\n"
    assert image.get_logs(offset=1000) == ""


def test_a_wait_prints_the_log_without_what_a_terminal_obeys(ws: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    made(ws).wait_for_creation(show_output=True)
    printed = capsys.readouterr().out
    assert printed.startswith("== image\ngrüße\n") and "\x1b" not in printed
    made(ws).wait_for_creation()
    assert capsys.readouterr().out == ""


def test_a_wait_for_one_that_could_not_be_made_raises_its_error(ws: Workspace) -> None:
    error = {"code": "NoBase", "what": "no base", "why": "gone", "hint": "name another", "where": "steps:1"}
    image = made(ws, state="Failed", error=error)
    with pytest.raises(WebserviceException) as raised:
        image.wait_for_creation()
    assert (raised.value.code, raised.value.what, raised.value.why) == ("NoBase", "no base", "gone")
    with pytest.raises(WebserviceException, match="is not made"):
        image.pull()


def test_a_context_is_copied_into_a_folder_that_is_empty(ws: Workspace, folder: Path) -> None:
    context = folder / "made"
    context.mkdir()
    (context / "Dockerfile").write_text("FROM x\n")
    one = made(ws, dockerfile=True, location=str(context))
    one.save("copy")
    assert (folder / "copy" / "Dockerfile").read_text() == "FROM x\n"
    with pytest.raises(MldeployError, match="is not empty"):
        one.save("copy")
    with pytest.raises(WebserviceException, match="is a folder with a Dockerfile"):
        one.pull()
    with pytest.raises(WebserviceException, match="is an image"):
        made(ws, location="own:1").save("other")
    assert not (folder / "other").exists()


@pytest.mark.parametrize(
    ("location", "registry"),
    [("here:5000/a/b:1", "here:5000"), ("own:1", ""), ("team/own:1", ""), ("oci:/a.b/c", ""), ("", "")],
)
def test_the_registry_is_in_the_image_s_name(location: str, registry: str) -> None:
    assert registry_of(location) == registry


@pytest.mark.parametrize("id", ["gone", "20260101-ab"])
def test_there_is_no_such_package(ws: Workspace, id: str) -> None:
    with pytest.raises(WebserviceException, match=f"there is no package {id}"):
        ModelPackage(ws, id)


@pytest.mark.parametrize(
    "given", [{"builder": "podman"}, {"image_name": "Not A Name"}, {"image_label": "a/b"}, {"image_name": 5}]
)
def test_wrong_arguments_begin_nothing(ws: Workspace, given: dict[str, Any]) -> None:
    with pytest.raises(UserErrorException):
        package(ws, [], None, **given)
    assert not (ws.folder.root / "packages").exists()
