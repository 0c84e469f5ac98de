from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from mldeploy_jupyter.core import file_digests
from mldeploy_jupyter.core.bundle import builder
from mldeploy_jupyter.core.errors import StorageError


def content(
    tmp_path: Path, *, script: str = "def init(): ...\n", models: int = 1, **changes: object
) -> builder.BundleContent:
    source = tmp_path / "score.py"
    source.write_text(script)
    model = tmp_path / "model.pkl"
    model.write_bytes(b"weights")
    digest = hashlib.sha256(b"weights").hexdigest()
    made = [
        builder.BundleModel(f"m{n}", n + 1, {"model.pkl": [digest, 7]}, {"model.pkl": model}) for n in range(models)
    ]
    return builder.BundleContent("project", {"score.py": source}, "score.py", made, **changes)  # type: ignore[arg-type]


def test_equal_inputs_give_the_same_folder(tmp_path: Path) -> None:
    first = builder.build(content(tmp_path), tmp_path / "bundles")
    second = builder.build(content(tmp_path), tmp_path / "bundles")
    assert first.path == second.path
    assert len(list((tmp_path / "bundles").iterdir())) == 1
    assert builder.compute_digest(content(tmp_path)) == first.digest


@pytest.mark.parametrize(
    "change",
    [
        {"script": "def init(): pass\n"},
        {"models": 2},
        {"lock": "numpy==2.4.6\n"},
        {"python": "3.12"},
        {"environment": {"variables": {"A": "1"}}},
    ],
)
def test_every_input_counts_for_the_digest(tmp_path: Path, change: dict[str, object]) -> None:
    base = builder.compute_digest(content(tmp_path))
    assert builder.compute_digest(content(tmp_path, **change)) != base  # type: ignore[arg-type]


def test_the_layout_is_that_of_v1(tmp_path: Path) -> None:
    made = builder.build(content(tmp_path), tmp_path / "bundles")
    assert (made.app / "project/score.py").is_file()
    assert (made.app / "azureml-models/m0/1/model.pkl").read_bytes() == b"weights"
    assert made.entry_script == "project/score.py"
    assert made.model_folder == "azureml-models/m0/1"
    assert (made.server / "mldeploy_serving/supervisor/__main__.py").is_file()


@pytest.mark.parametrize("models", [0, 2])
def test_with_none_or_several_models_the_model_folder_is_their_root(tmp_path: Path, models: int) -> None:
    made = builder.build(content(tmp_path, models=models), tmp_path / "bundles")
    assert made.model_folder == "azureml-models"


def test_a_bundle_that_cannot_be_finished_leaves_nothing(tmp_path: Path) -> None:
    model = builder.BundleModel("m", 0, {"model.pkl": ["0" * 64, 7]}, {"model.pkl": tmp_path / "gone.pkl"})
    (tmp_path / "score.py").write_text("")
    broken = builder.BundleContent("p", {"score.py": tmp_path / "score.py"}, "score.py", [model])
    with pytest.raises(StorageError, match="could not be made") as error:
        builder.build(broken, tmp_path / "bundles")
    assert "No such file" in error.value.why
    assert list((tmp_path / "bundles").iterdir()) == []


def test_a_file_that_changes_while_the_bundle_is_made_is_refused(tmp_path: Path) -> None:
    changing = content(tmp_path)

    def check() -> None:  # called before each file, the second time after the digest was computed
        calls.append(None)
        if len(calls) == 2:
            (tmp_path / "score.py").write_text("def init(): another()\n")

    calls: list[None] = []
    with pytest.raises(StorageError, match=r"score\.py changed while the bundle was made"):
        builder.build(changing, tmp_path / "bundles", check=check)
    assert list((tmp_path / "bundles").iterdir()) == []


def test_a_vanished_file_is_named(tmp_path: Path) -> None:
    gone = builder.BundleContent("p", {"score.py": tmp_path / "gone.py"}, "score.py")
    with pytest.raises(StorageError) as error:
        builder.build(gone, tmp_path / "bundles")
    assert "gone.py" in error.value.why


def test_a_damaged_model_is_found(tmp_path: Path) -> None:
    made = builder.build(content(tmp_path), tmp_path / "bundles")
    assert builder.find_damaged_files(made, made.app) == []
    (made.app / "azureml-models/m0/1/model.pkl").write_bytes(b"weight")
    assert builder.find_damaged_files(made, made.app) == ["app/azureml-models/m0/1/model.pkl"]


FILES = ["app/project/score.py", "app/azureml-models/m0/1/model.pkl", "server/mldeploy_serving/settings.py"]


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", [lambda p: p.write_bytes(b"changed"), Path.unlink])
def test_a_bundle_that_is_used_again_is_what_its_digest_says(
    tmp_path: Path, name: str, damage: Callable[[Path], object]
) -> None:
    made = builder.build(content(tmp_path), tmp_path / "bundles")
    before = (made.path / name).read_bytes()
    damage(made.path / name)
    builder.build(content(tmp_path), tmp_path / "bundles")
    assert (made.path / name).read_bytes() == before
    assert {path.name for path in (made.path / name).parent.iterdir() if path.name.startswith(".")} == set()


def test_without_its_source_a_bundle_gets_back_the_server_only(tmp_path: Path) -> None:
    made = builder.build(content(tmp_path), tmp_path / "bundles")
    server = made.path / FILES[2]
    before = server.read_bytes()
    server.write_text("damaged")
    builder.repair(made)
    assert server.read_bytes() == before
    (made.path / FILES[0]).write_text("damaged")
    with pytest.raises(StorageError, match=r"the bundle is damaged: app/project/score\.py"):
        builder.repair(made)


def test_bundles_share_no_file(tmp_path: Path) -> None:
    first = builder.build(content(tmp_path), tmp_path / "bundles")
    second = builder.build(content(tmp_path, script="def init(): pass\n"), tmp_path / "bundles")
    assert {path.stat().st_nlink for made in (first, second) for path in made.path.rglob("*") if path.is_file()} == {1}


def test_a_cancelled_build_leaves_nothing(tmp_path: Path) -> None:
    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        builder.build(content(tmp_path), tmp_path / "bundles", check=stop)
    assert not (tmp_path / "bundles").exists() or list((tmp_path / "bundles").iterdir()) == []


@pytest.mark.parametrize(
    "manifest",
    ["{}", "[]", '{"source_directory": "s", "entry_script": "s/x.py", "models": {}, "files": {}}'] +
    [f'{{"source_directory": "s", "entry_script": "s/x.py", "models": {m}, "files": {f}}}' for m, f in (
        ("[7]", "{}"), ('[{"name": "m", "version": "1", "folder": "f"}]', "{}"), ("[]", '{"a": null}'),
        ("[]", '{"a": [1, "x"]}'), ("[]", '["a"]'),
    )],
)  # fmt: skip
def test_a_damaged_manifest_is_refused(tmp_path: Path, manifest: str) -> None:
    (tmp_path / "bundle.json").write_text(manifest)
    with pytest.raises(ValueError, match=r"damaged or gone|not a JSON object"):
        builder.load(tmp_path)


@pytest.mark.parametrize("how", ["missing", "garbage", "folder"])
@pytest.mark.parametrize("name", ["bundle.json", "environment.lock", "app/project/score.py"])
def test_a_bundle_that_is_built_again_is_whole_again(tmp_path: Path, name: str, how: str) -> None:
    wanted = content(tmp_path, lock="demo==1\n")
    path = builder.build(wanted, tmp_path / "bundles").path / name
    before = path.read_bytes()
    path.unlink()
    if how == "garbage":
        path.write_bytes(b"\0")
    elif how == "folder":
        (path / "below").mkdir(parents=True)
    made = builder.build(wanted, tmp_path / "bundles")
    assert path.read_bytes() == before and builder.load(made.path).digest == made.digest


def test_a_file_in_the_place_of_a_bundle_is_replaced(tmp_path: Path) -> None:
    path = builder.build(content(tmp_path), tmp_path / "bundles").path
    builder.remove_tree(path)
    path.write_text("in the way")
    assert builder.build(content(tmp_path), tmp_path / "bundles").path == path and (path / "bundle.json").is_file()


def test_what_is_as_it_was_is_not_read_to_build_it_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_digests, "SETTLED_NS", -(10**10))  # as if all had been there for long
    inputs = content(tmp_path)
    bundle = builder.build(inputs, tmp_path / "bundles")
    builder.build(inputs, tmp_path / "bundles")
    monkeypatch.setattr(hashlib, "file_digest", lambda *args: pytest.fail("a file was read"))
    assert builder.build(inputs, tmp_path / "bundles") == bundle
