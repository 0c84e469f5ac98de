"""v1's images of 2018: described, found again, and what a deployment reads of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from mldeploy_jupyter.api.models import Model
from mldeploy_jupyter.api.webservices.container_image import ContainerImage, Image
from mldeploy_jupyter.api.webservices.inference_config import InferenceConfig
from mldeploy_jupyter.api.workspace import Workspace
from mldeploy_jupyter.core.bundle.source_directory import list_source_files
from mldeploy_jupyter.core.errors import UserErrorException, WebserviceException

SCRIPT = "import helper\ndef init(): pass\ndef run(data): return open('words/a.txt').read()\n"


@pytest.fixture
def ws(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.setattr("mldeploy_jupyter.api.webservices.container_image._made", {})
    for name, text in {"score.py": SCRIPT, "helper.py": "", "words/a.txt": "a", "other.json": "{}"}.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    return Workspace.create("w", path=str(folder))


def test_the_dependencies_go_along_where_the_script_opens_them(ws: Workspace, folder: Path) -> None:
    config = ContainerImage.image_configuration("score.py", "python", dependencies=["words", "./other.json"])
    read = InferenceConfig.from_data(config.to_data()).to_data()
    files = list_source_files(read["entry_path"], None, read["dependencies"])
    assert list(files) == ["helper.py", "other.json", "score.py", "words/a.txt"]
    assert files["words/a.txt"] == folder / "words" / "a.txt"
    (folder / "other.json").unlink()
    with pytest.raises(UserErrorException, match="there is no other"):
        list_source_files(read["entry_path"], None, read["dependencies"])


def test_a_file_outside_of_the_current_folder_is_beside_the_script(
    ws: Workspace, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder / "words")
    config = ContainerImage.image_configuration("../score.py", "python", dependencies=["../other.json"])
    assert config.to_data()["dependencies"] == {"other.json": str(folder / "other.json")}


def test_an_image_is_found_by_name_id_version_and_model(ws: Workspace) -> None:
    Path("model.pkl").write_bytes(b"1")
    model = Model.register(ws, "model.pkl", "m")
    config = ContainerImage.image_configuration("score.py", "python", tags={"area": "x"}, description="d")
    first = ContainerImage.create(name="img", models=[model], image_config=config, workspace=ws)
    second = Image.create(ws, "img", [], config)
    first.wait_for_creation(show_output=True)
    assert (first.id, second.version, first.creation_state, first.description) == ("img:1", 2, "Succeeded", "d")
    assert ws.images == {"img": second}
    assert Image(ws, "img") is second and Image(ws, id="img:1") is first and Image(ws, "img", version="1") is first
    assert Image.list(ws, model_name="m") == [first] and Image.list(ws, tags=[["area", "x"]]) == [first, second]
    assert Image.list(ws, model_id="m:1", image_name="other") == []
    second.add_tags({"b": 1})
    assert second.serialize()["tags"] == {"area": "x", "b": 1} and first.tags == {"area": "x"}
    second.delete()
    with pytest.raises(WebserviceException, match="there is no image img"):
        Image(ws, id="img:2")


def test_a_schema_file_is_noted(ws: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    ContainerImage.image_configuration(execution_script="score.py", runtime="python", schema_file="schema.json")
    assert "schema_file is ignored: score.py has the schema" in capsys.readouterr().out


def test_an_image_needs_a_configuration_of_its_script(ws: Workspace) -> None:
    with pytest.raises(UserErrorException, match="image_config is"):
        Image.create(ws, "img", [], "score.py")  # type: ignore[arg-type]


def test_what_notebooks_print_of_an_image(ws: Workspace) -> None:
    image = Image.create(ws, "img", [], ContainerImage.image_configuration("score.py", "python"))
    line = "{}(v.{} [{}]) stored at {} with build log {}"
    said = line.format(image.name, image.version, image.creation_state, image.image_location, image.image_build_log_uri)
    assert said == "img(v.1 [Succeeded]) stored at None with build log None"


def test_tags_that_are_a_list_are_refused(ws: Workspace) -> None:
    with pytest.raises(WebserviceException, match="tags is"):
        ContainerImage.image_configuration("score.py", "python", tags=["onnx"])  # type: ignore[arg-type]
