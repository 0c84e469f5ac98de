from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import pytest

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
        builder.BundleModel(
            f"m{n}",
            n + 1,
            {"model.pkl": [digest, 7]},
            lambda target: shutil.copyfile(model, target / "model.pkl") and None,
        )
        for n in range(models)
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
    assert made.model_dir == made.app / "azureml-models/m0/1"
    assert (made.server / "mldeploy_serving/supervisor/__main__.py").is_file()


@pytest.mark.parametrize("models", [0, 2])
def test_with_none_or_several_models_the_model_folder_is_their_root(tmp_path: Path, models: int) -> None:
    made = builder.build(content(tmp_path, models=models), tmp_path / "bundles")
    assert made.model_dir == made.app / "azureml-models" and made.model_dir.is_dir()


def test_a_bundle_that_cannot_be_finished_leaves_nothing(tmp_path: Path) -> None:
    def explode(_target: Path) -> None:
        raise OSError(28, "No space left on device")

    broken = builder.BundleContent(
        "p", {"score.py": tmp_path / "score.py"}, "score.py", [builder.BundleModel("m", 1, {}, explode)]
    )
    (tmp_path / "score.py").write_text("")
    with pytest.raises(StorageError, match="could not be made") as error:
        builder.build(broken, tmp_path / "bundles")
    assert "No space left" in error.value.why
    assert list((tmp_path / "bundles").iterdir()) == []


def test_a_vanished_file_is_named(tmp_path: Path) -> None:
    gone = builder.BundleContent("p", {"score.py": tmp_path / "gone.py"}, "score.py")
    with pytest.raises(StorageError) as error:
        builder.build(gone, tmp_path / "bundles")
    assert "gone.py" in error.value.why


def test_a_damaged_model_is_found(tmp_path: Path) -> None:
    made = builder.build(content(tmp_path), tmp_path / "bundles")
    assert builder.find_damaged_files(made) == []
    (made.app / "azureml-models/m0/1/model.pkl").write_bytes(b"weight")
    assert builder.find_damaged_files(made) == ["app/azureml-models/m0/1/model.pkl"]


def test_a_cancelled_build_leaves_nothing(tmp_path: Path) -> None:
    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        builder.build(content(tmp_path), tmp_path / "bundles", check=stop)
    assert not (tmp_path / "bundles").exists() or list((tmp_path / "bundles").iterdir()) == []
