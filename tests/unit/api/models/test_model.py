"""Models: what v1 promised, without its traps."""

from __future__ import annotations

import inspect
import json
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mldeploy_jupyter.api.models import Model, ResourceConfiguration
from mldeploy_jupyter.api.workspace import Workspace
from mldeploy_jupyter.core.errors import (
    MldeployError,
    ModelInUse,
    ModelNotFoundException,
    StorageError,
    TargetNotAvailable,
    UserErrorException,
    WebserviceException,
)
from mldeploy_jupyter.core.records import RevisionRecord, ServiceRecord


@pytest.fixture
def ws(folder: Path) -> Workspace:
    (folder / "m.pkl").write_bytes(b"model")
    (folder / "tree" / "deep").mkdir(parents=True)
    (folder / "tree" / "a.txt").write_bytes(b"a")
    (folder / "tree" / ".hidden").write_bytes(b"h")
    (folder / "tree" / "deep" / "b.txt").write_bytes(b"b")
    return Workspace.create("test")


def test_the_signatures_are_those_of_v1() -> None:
    def names(function: object) -> str:
        return " ".join(inspect.signature(function).parameters)  # type: ignore[arg-type]

    assert names(Model.register) == (
        "workspace model_path model_name tags properties description datasets model_framework model_framework_version "
        "child_paths sample_input_dataset sample_output_dataset resource_configuration"
    )
    assert names(Model) == "workspace name id tags properties version run_id model_framework expand"
    assert names(Model.list) == (
        "workspace name tags properties run_id latest dataset_id expand page_count model_framework"
    )
    assert names(Model.get_model_path) == "model_name version _workspace"
    assert names(Model.download) == "self target_dir exist_ok exists_ok"
    assert names(Model.deploy) == (
        "workspace name models inference_config deployment_config deployment_target overwrite show_output"
    )


def test_a_registered_file(ws: Workspace) -> None:
    model = Model.register(
        workspace=ws,
        model_path="m.pkl",
        model_name="sklearn_regression_model.pkl",
        tags={"area": "diabetes", "pair": (1, 2)},
        properties={"p": "1"},
        description="Ridge",
        model_framework=Model.Framework.SCIKITLEARN,
        model_framework_version="1.5",
        resource_configuration=ResourceConfiguration(cpu=1, memory_in_gb=0.5),
        datasets=[("training", "diabetes")],
        sample_input_dataset="in",
    )
    assert (model.name, model.version, model.id) == (
        "sklearn_regression_model.pkl",
        1,
        "sklearn_regression_model.pkl:1",
    )
    assert model.tags == {"area": "diabetes", "pair": [1, 2]}
    assert model.files == ["m.pkl"] and model.size == 5 and len(model.digest) == 64
    assert abs((datetime.now(UTC) - model.created_time).total_seconds()) < 60
    assert model.datasets == {"training": ["diabetes"]}
    assert model.resource_configuration == ResourceConfiguration(1, 0.5)
    assert model.url == "aml://asset/sklearn_regression_model.pkl:1"
    data = json.loads(json.dumps(model.serialize()))
    assert data["framework"] == "ScikitLearn" and data["sampleInputDatasetId"] == "in"
    assert Model(ws, "sklearn_regression_model.pkl").serialize() == model.serialize()
    with pytest.raises(AttributeError):
        model.version = 2  # type: ignore[misc]


@pytest.mark.parametrize(
    ("children", "files"),
    [
        (None, ["tree/.hidden", "tree/a.txt", "tree/deep/b.txt"]),
        (["deep"], ["tree/deep/b.txt"]),
        (["tree/a.txt", "./deep/b.txt"], ["tree/a.txt", "tree/deep/b.txt"]),
    ],
)
def test_a_registered_folder_keeps_its_name(ws: Workspace, children: list[str] | None, files: list[str]) -> None:
    for path in ("tree", "tree/", "./tree", os.path.abspath("tree")):
        assert Model.register(ws, path, "t", child_paths=children).files == files


def test_the_current_directory_has_its_own_name(ws: Workspace, folder: Path) -> None:
    os.chdir(folder / "tree" / "deep")
    assert Model.register(ws, ".", "t").files == ["deep/b.txt"]


def test_the_same_content_has_the_same_digest_and_another_version(ws: Workspace) -> None:
    first, second = (Model.register(ws, "tree", "t") for _ in range(2))
    assert (first.version, second.version) == (1, 2)
    assert first.digest == second.digest != Model.register(ws, "m.pkl", "t").digest


def test_finding_models(ws: Workspace) -> None:
    for tags in ({"stage": "dev", "n": 1}, {"stage": "prod"}, {"stage": "dev"}):
        Model.register(ws, "m.pkl", "m", tags=tags, properties={"owner": "ann"})
    Model.register(ws, "m.pkl", "other", model_framework="Onnx")
    assert Model(ws, "m").version == 3
    assert Model(ws, "m", version=1).id == Model(ws, id="m:1").id == Model(ws, "m:1").id == "m:1"
    assert Model(ws, "m", id="other:1").name == "other"
    assert Model(ws, "m", tags=[["stage", "prod"]]).version == 2
    for tags in (["n"], [["n", "1"]], [("n", 1)], {"n": 1}, {"stage": "dev", "n": "1"}):
        assert [model.id for model in Model.list(ws, tags=tags)] == ["m:1"]
    assert [model.id for model in Model.list(ws, "m", properties={"owner": "ann"})] == ["m:3", "m:2", "m:1"]
    assert [model.id for model in Model.list(ws, latest=True)] == ["other:1", "m:3"]
    assert [model.id for model in Model.list(ws, model_framework="Onnx")] == ["other:1"]
    assert Model.list(ws, tags=["nope"]) == []


def test_tags_properties_and_description_change(ws: Workspace) -> None:
    model = Model.register(ws, "m.pkl", "m", tags={"a": 1}, properties={"p": 1}, description="d")
    Model(ws, "m").add_tags({"from": "elsewhere"})
    model.add_tags({"b": 2})
    assert model.tags == Model(ws, "m").tags == {"a": 1, "from": "elsewhere", "b": 2}
    model.remove_tags(["a", "nope", "from"])
    model.add_properties({"q": 2})
    model.update(tags={"c": 3}, description="new", resource_configuration=ResourceConfiguration(gpu=1))
    found = Model(ws, "m")
    assert (found.tags, found.properties, found.description) == ({"c": 3}, {"p": 1, "q": 2}, "new")
    found.update(tags={}, description="")
    assert (found.tags, found.description) == ({}, None)
    assert found.resource_configuration == ResourceConfiguration(gpu=1)


def test_download(ws: Workspace, folder: Path) -> None:
    file, tree = Model.register(ws, "m.pkl", "m"), Model.register(ws, "tree", "t")
    assert file.download("out") == "out/m.pkl"
    assert tree.download("out") == "out/tree"
    assert (folder / "out/tree/deep/b.txt").read_bytes() == b"b"
    (folder / "out/m.pkl").write_bytes(b"mine")
    (folder / "out/tree/keep").write_bytes(b"mine")
    with pytest.raises(WebserviceException, match="already"):
        file.download("out")
    assert (folder / "out/m.pkl").read_bytes() == b"mine"
    assert file.download("out", exists_ok=True) == file.download("out", exist_ok=True) == "out/m.pkl"
    assert tree.download("out", exist_ok=True) == "out/tree"
    assert (folder / "out/m.pkl").read_bytes() == b"model"
    assert (folder / "out/tree/keep").exists()
    assert sorted(os.listdir(folder / "out")) == ["m.pkl", "tree"]


def test_damage_replaces_nothing(ws: Workspace, folder: Path) -> None:
    model = Model.register(ws, "m.pkl", "m")
    blob = next((ws.folder.root / "artifacts" / "blobs").glob("*/*"))
    blob.chmod(0o600)
    blob.write_bytes(b"moDel")
    with pytest.raises(StorageError, match="damaged"):
        model.download(".", exist_ok=True)
    assert (folder / "m.pkl").read_bytes() == b"model"
    assert not list(folder.glob(".mldeploy-download*"))


def test_delete_is_refused_while_a_service_uses_it(ws: Workspace, snapshot) -> None:
    model, other = Model.register(ws, "m.pkl", "m"), Model.register(ws, "m.pkl", "m")
    store = ws.folder.open_store()
    for name in ("svc", "svc-two"):
        store.save_service(ServiceRecord(name, "local", "Local"))
        store.add_revision(RevisionRecord(name, models=["m:1"]))
    other.delete()
    with pytest.raises(ModelInUse) as caught:
        model.delete()
    assert str(caught.value) == snapshot
    assert Model(ws, "m").id == "m:1"
    store.remove_service("svc")
    store.update_revision("svc-two", 1, outcome="failed")
    model.delete()
    with pytest.raises(ModelNotFoundException):
        model.delete()
    with pytest.raises(ModelNotFoundException):
        Model(ws, "m")
    assert Model.register(ws, "m.pkl", "m").version == 3


def test_a_registered_model_is_copied_by_its_uri(ws: Workspace) -> None:
    first = Model.register(ws, "tree", "t", model_framework="Custom", tags={"a": 1})
    Model.register(ws, "m.pkl", "t")
    copy = Model.register(ws, "models:/t/1", "copy")
    assert (copy.id, copy.digest, copy.files) == ("copy:1", first.digest, first.files)
    assert (copy.parent_id, copy.tags, copy.model_framework) == ("t:1", {}, "Custom")
    assert first.derived_model_ids == ["copy:1"]
    assert Model.register(ws, "models:/t/latest", "copy").files == ["m.pkl"]


def test_the_path_of_a_model_in_a_notebook(ws: Workspace, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for path in ("tree", "m.pkl"):
        Model.register(ws, path, "m")
    assert Path(Model.get_model_path("m")).read_bytes() == b"model"
    found = Path(Model.get_model_path("m", version=1, _workspace=ws))
    assert found.name == "tree" and (found / ".hidden").exists()
    (found / "__pycache__").mkdir()  # a script may write there
    assert Path(Model.get_model_path("m", 1)) == found
    assert not (folder / "azureml-models").exists()


@pytest.mark.parametrize("one", [True, False])
def test_the_path_of_a_model_in_a_service(folder: Path, monkeypatch: pytest.MonkeyPatch, one: bool) -> None:
    root = folder / "svc" / "azureml-models"
    for version in ("2", "10", ".ipynb_checkpoints", "latest"):
        (root / "m" / version).mkdir(parents=True)
        (root / "m" / version / "m.pkl").write_text(version)
    (root / "m" / "10" / ".ipynb_checkpoints").mkdir()
    (root / "two" / "1").mkdir(parents=True)
    for name in ("x", "y"):
        (root / "two" / "1" / name).write_text(name)
    monkeypatch.setenv("AZUREML_MODEL_DIR", str(root / "m" / "10" if one else root))
    assert Model.get_model_path("m") == str(root / "m" / "10" / "m.pkl")
    assert Model.get_model_path("m", 2) == str(root / "m" / "2" / "m.pkl")
    assert Model.get_model_path("two") == str(root / "two" / "1")
    monkeypatch.delenv("AZUREML_MODEL_DIR")
    monkeypatch.setenv("AML_APP_ROOT", str(folder / "svc"))
    assert Model.get_model_path("m", 2) == str(root / "m" / "2" / "m.pkl")


def test_what_a_model_file_says_of_its_libraries_is_kept(ws: Workspace) -> None:
    import joblib
    import sklearn
    from sklearn.linear_model import Ridge

    joblib.dump(Ridge().fit([[1.0], [2.0]], [1.0, 2.0]), "ridge.pkl")
    details = Model.register(ws, "ridge.pkl", "r").record.details
    assert details["libraries"]["scikit-learn"] == sklearn.__version__ and details["python"]


def test_every_error_is_three_lines(ws: Workspace, folder: Path, snapshot) -> None:
    Model.register(ws, "m.pkl", "m")
    Model.register(ws, "m.pkl", "m")
    model = Model(ws, "m")
    (folder / "dangling").symlink_to("nowhere")
    (folder / "hollow").mkdir()
    model.add_properties({"p": 1})
    (folder / "out").mkdir()
    (folder / "out" / "m.pkl").mkdir()
    Model.register(ws, "m.pkl", "full", child_paths=None)
    cases = {
        "no workspace": lambda: Model.register("m.pkl", "m.pkl", "m"),  # type: ignore[arg-type]
        "name": lambda: Model.register(ws, "nowhere", "größe x"),
        "name length": lambda: Model.register(ws, "m.pkl", "x" * 256),
        "empty name": lambda: Model.register(ws, "m.pkl", ""),
        "version without framework": lambda: Model.register(ws, "nowhere", "m", model_framework_version="1"),
        "framework": lambda: Model.register(ws, "m.pkl", "m", model_framework="sklearn"),
        "path": lambda: Model.register(ws, "nowhere.pkl", "m"),
        "path in no folder": lambda: Model.register(ws, "no/where.pkl", "m"),
        "dangling path": lambda: Model.register(ws, "dangling", "m"),
        "no path": lambda: Model.register(ws, None, "m"),  # type: ignore[arg-type]
        "empty folder": lambda: Model.register(ws, "hollow", "m"),
        "tags list": lambda: Model.register(ws, "m.pkl", "m", tags=["a"]),  # type: ignore[arg-type]
        "tags key": lambda: Model.register(ws, "m.pkl", "m", tags={1: 2}),  # type: ignore[dict-item]
        "tags value": lambda: Model.register(ws, "m.pkl", "m", tags={"a": {1}}),
        "properties nan": lambda: Model.register(ws, "m.pkl", "m", properties={"a": float("nan")}),
        "child": lambda: Model.register(ws, "tree", "m", child_paths=["nope"]),
        "child outside": lambda: Model.register(ws, "tree", "m", child_paths=["../m.pkl"]),
        "children of a file": lambda: Model.register(ws, "m.pkl", "m", child_paths=["x"]),
        "no children": lambda: Model.register(ws, "tree", "m", child_paths=[]),
        "child string": lambda: Model.register(ws, "tree", "m", child_paths="a.txt"),  # type: ignore[arg-type]
        "resources": lambda: ResourceConfiguration(gpu=1.5),  # type: ignore[arg-type]
        "resources zero": lambda: ResourceConfiguration(cpu=0),
        "resources everywhere": lambda: ResourceConfiguration(cpu=-1, gpu=-2, memory_in_gb="x"),  # type: ignore[arg-type]
        "resources type": lambda: Model.register(ws, "m.pkl", "m", resource_configuration={"cpu": 1}),  # type: ignore[arg-type]
        "datasets": lambda: Model.register(ws, "m.pkl", "m", datasets=["x"]),
        "models uri": lambda: Model.register(ws, "models:/m", "m"),
        "models uri version": lambda: Model.register(ws, "models:/m/newest", "m"),
        "models uri missing": lambda: Model.register(ws, "models:/m/9", "m"),
        "nothing asked": lambda: Model(ws),
        "not found": lambda: Model(ws, "nope"),
        "version not found": lambda: Model(ws, "m", version=7),
        "version 0": lambda: Model(ws, "m", version=0),
        "tags not found": lambda: Model(ws, "m", tags=["a", ["b", "c"]], run_id="r"),
        "id": lambda: Model(ws, id="m"),
        "version": lambda: Model(ws, "m", version="one"),  # type: ignore[arg-type]
        "filter": lambda: Model.list(ws, tags="a"),
        "filter item": lambda: Model.list(ws, tags=[["a", "b", "c"]]),
        "page_count": lambda: Model.list(ws, page_count=19),
        "property twice": lambda: model.add_properties({"p": 2}),
        "remove_tags": lambda: model.remove_tags("a"),  # type: ignore[arg-type]
        "description": lambda: Model.register(ws, "m.pkl", "m", description={"a": 1}),  # type: ignore[arg-type]
        "description number": lambda: model.update(description=5),  # type: ignore[arg-type]
        "datasets number": lambda: Model.register(ws, "m.pkl", "m", datasets=5),  # type: ignore[arg-type]
        "name number": lambda: Model(ws, 5),  # type: ignore[arg-type]
        "id number": lambda: Model(ws, id=5),  # type: ignore[arg-type]
        "list name": lambda: Model.list(ws, name=5),  # type: ignore[arg-type]
        "download": lambda: model.download("."),
        "download to nothing": lambda: model.download(None),  # type: ignore[arg-type]
        "download to a file": lambda: model.download("m.pkl"),
        "download below a file": lambda: model.download("m.pkl/sub", exist_ok=True),
        "download to the kernel": lambda: model.download("/proc/x"),
        "download folder": lambda: model.download("out", exist_ok=True),
        "model path": lambda: Model.get_model_path("nope"),
        "model path version": lambda: Model.get_model_path("m", version=9),
        "model path in the way": lambda: Model.get_model_path("m.pkl"),
        "model path name": lambda: Model.get_model_path(None),  # type: ignore[arg-type]
        "model path workspace": lambda: Model.get_model_path("m", _workspace="ws"),  # type: ignore[arg-type]
        "model path type": lambda: Model.get_model_path("m", version="1"),  # type: ignore[arg-type]
        "package": lambda: Model.package(ws, []),
        "profile": lambda: Model.profile(ws, "p", [], None, None),
    }
    texts = {}
    for case, call in cases.items():
        with pytest.raises(MldeployError) as caught:
            call()
        assert caught.value.what and caught.value.why and caught.value.hint
        texts[case] = f"{type(caught.value).__name__}\n" + str(caught.value).replace(str(folder), "FOLDER")
    assert texts == snapshot
    assert [m.id for m in Model.list(ws)] == ["full:1", "m:2", "m:1"]
    with pytest.raises(FileNotFoundError):
        Model.register(ws, "nowhere.pkl", "m")
    assert issubclass(TargetNotAvailable, WebserviceException) and issubclass(UserErrorException, MldeployError)
    with pytest.raises(ModelNotFoundException) as caught_:
        Model(ws, "nope")
    assert caught_.value.message.startswith("ModelNotFound")


def test_deserialize_finds_what_serialize_described(ws: Workspace) -> None:
    model = Model.register(ws, "m.pkl", "m")
    assert Model.deserialize(ws, json.loads(json.dumps(model.serialize()))) == model
    for payload in ({}, "m", None):
        with pytest.raises(UserErrorException, match="does not describe a model"):
            Model.deserialize(ws, payload)  # type: ignore[arg-type]


def test_dataset_references_are_added(ws: Workspace) -> None:
    model = Model.register(ws, "m.pkl", "m", datasets=[("training", "a")])
    model.add_dataset_references([("training", "a"), ("training", "b"), ("inference", "c")])
    assert Model(ws, "m").datasets == {"training": ["a", "b"], "inference": ["c"]}
    with pytest.raises(WebserviceException, match="each entry is a pair"):
        model.add_dataset_references(["a"])


def test_tags_and_properties_in_one_call(ws: Workspace) -> None:
    model = Model.register(ws, "m.pkl", "m", tags={"a": "1", "b": "2"}, properties={"p": "q"})
    model.update_tags_properties(add_tags={"c": "3"}, remove_tags=["a"], add_properties={"r": "s"})
    assert (model.tags, model.properties) == ({"b": "2", "c": "3"}, {"p": "q", "r": "s"})
    with pytest.raises(WebserviceException, match="already has the property"):
        model.update_tags_properties(add_tags={"d": "4"}, add_properties={"p": "x"})
    assert "d" not in Model(ws, "m").tags


def test_the_configuration_is_printed_without_secrets(ws: Workspace, folder: Path) -> None:
    from mldeploy_jupyter.api.webservices.inference_config import InferenceConfig
    from mldeploy_jupyter.api.webservices.targets import LocalWebservice

    (folder / "score.py").write_text("def init():\n    pass\n\n\ndef run(data):\n    return data\n")
    printed: list[str] = []
    settings = LocalWebservice.deploy_configuration(port=8890, primary_key="s3cr3t")
    model = Model.register(ws, "m.pkl", "m")
    Model.print_configuration([model], InferenceConfig("score.py"), settings, None, printed.append)
    assert printed[:3] == ["Models: m:1", "entry_script: score.py", "Target: Local"]
    for wrong in ((None, None), ([model], 3)):
        with pytest.raises(UserErrorException, match="it must be a"):
            Model.print_configuration(*wrong)  # type: ignore[arg-type]
    assert "  port = 8890" in printed and "s3cr3t" not in "".join(printed)


def test_there_are_no_links_into_a_storage_account(ws: Workspace) -> None:
    with pytest.raises(UserErrorException, match=r"model.download\(target_dir\)"):
        Model.register(ws, "m.pkl", "m").get_sas_urls()
