from __future__ import annotations

import errno
import gzip
import io
import json
import os
import tarfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from mldeploy_jupyter.core.errors import ImageError
from mldeploy_jupyter.docker_engine import EngineError
from mldeploy_jupyter.images import oci
from mldeploy_jupyter.images.blob_store import BlobStore
from mldeploy_jupyter.images.oci_layout import OciImage
from mldeploy_jupyter.images.oci_store import keep_for, list_images, open_image
from mldeploy_jupyter.images.types import BuiltImage
from tests.unit.images.bases import DEBIAN, write_base
from tests.unit.images.contents import SCRIPT, make_content

LOCK = "# mldeploy environment lock 1\n# python 3.11.2\nsix==1.17.0\n"


@dataclass
class Workshop:
    """Builds images; `installed` counts the environments that were made, `events` is what was reported."""

    folder: Path
    base: str = ""
    installed: int = 0
    pythons: int = 0
    events: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)

    @property
    def cache(self) -> Path:
        return self.folder / "cache"

    def install(self, lock: str, platform: str, folder: Path, *, glibc: tuple[int, int], emit: Any, cancel: Any) -> Any:
        self.installed += 1
        site = folder / "lib" / "python3.11" / "site-packages"
        site.mkdir(parents=True)
        (site / "six.py").write_text(lock)
        (folder / "bin").mkdir()
        (folder / "bin" / "six").write_text("#!/opt/venv/bin/python\n")
        (folder / "bin" / "six").chmod(0o700)
        emit("log", " + six")
        return type("Installed", (), {"has_python": False})

    def install_python(self, version: str, platform: str, folder: Path, *, emit: Any, cancel: Any) -> str:
        self.pythons += 1
        (folder / "bin").mkdir(parents=True)
        (folder / "bin" / f"python{version}").write_text("")
        return f"{version}.9"

    def build(self, name: str = "project", **kwargs: Any) -> BuiltImage:
        options = {key: kwargs.pop(key) for key in ("tag", "install_python", "offline") if key in kwargs}
        content = make_content(self.folder / name, **{"lock": LOCK, "base": self.base, **kwargs})

        def emit(stage: str, kind: str, text: str = "", **data: Any) -> None:
            self.events.append((kind, text, data))

        return oci.build(content, None, emit, lambda: None, install=self.install, cache=self.cache, **options)

    def open(self, image: BuiltImage) -> OciImage:
        return open_image(image.digest, self.cache)


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    return Workshop(tmp_path, write_base(tmp_path / "base"))


def unpack(image: OciImage) -> dict[str, tarfile.TarInfo]:
    """The entries of all layers on top of each other."""
    found = {}
    for layer in image.layers:
        content = b"".join(layer.read(0))
        plain = gzip.decompress(content) if content.startswith(b"\x1f\x8b") else content
        with tarfile.open(fileobj=io.BytesIO(plain)) as tar:
            found.update({member.name: member for member in tar})
    return found


def config_of(image: OciImage) -> dict[str, Any]:
    return dict(json.loads(b"".join(image.config.read(0))))


def test_image_has_the_layers_of_the_base_and_ours_in_order_of_change(workshop: Workshop) -> None:
    built = workshop.build(models={"churn": b"model"}, tag="churn:1")
    assert [layer.name for layer in built.layers] == ["environment", "server", "model churn:1", "code"]
    assert built.reference == "churn:1"
    image = workshop.open(built)
    assert len(image.layers) == 5
    files = unpack(image)
    assert files["opt/venv/bin/python"].linkname == "/usr/bin/python3.11"
    assert files["opt/venv/bin/python3"].linkname == "python"
    assert files["opt/venv/bin/six"].mode == 0o755
    assert files["var/azureml-app/azureml-models/churn/1/model.bin"].size == 5
    assert (files["var/lib/mldeploy"].uid, files["var/lib/mldeploy"].mode) == (10001, 0o1777)
    assert "opt/mldeploy/service.json" in files
    config = config_of(image)
    assert config["config"]["User"] == "10001:10001"
    assert config["config"]["Entrypoint"][0] == "/opt/venv/bin/python"
    assert config["config"]["ExposedPorts"] == {"5001/tcp": {}}
    assert len(config["rootfs"]["diff_ids"]) == len(config["history"]) == 5
    assert image.manifest.data["config"]["digest"] == built.id
    assert list_images(workshop.cache)[0]["tag"] == "churn:1"
    assert open_image("churn:1", workshop.cache).manifest.digest == built.digest


def test_equal_inputs_give_equal_bytes(tmp_path: Path) -> None:
    digests = set()
    for number in range(2):
        before = os.umask(0o077 if number else 0o022)
        try:
            made = Workshop(tmp_path / f"machine {number}", write_base(tmp_path / f"machine {number}" / "base"))
            built = made.build(models={"churn": b"model"})
        finally:
            os.umask(before)
        digests.add((built.digest, built.id))
    assert len(digests) == 1


def test_changed_script_makes_one_layer(workshop: Workshop) -> None:
    first = workshop.build(models={"churn": b"model"})
    second = workshop.build("other", script=SCRIPT + "# changed\n", models={"churn": b"model"})
    assert [layer.reused for layer in second.layers] == [True, True, True, False]
    assert workshop.installed == 1
    before = {layer.digest for layer in workshop.open(first).layers}
    new = [layer for layer in workshop.open(second).layers if layer.digest not in before]
    assert sum(layer.size for layer in new) < 10_000
    assert len(new) == 1


def test_changed_model_leaves_the_environment(workshop: Workshop) -> None:
    workshop.build(models={"churn": b"model"})
    second = workshop.build("other", models={"churn": b"another"})
    assert [layer.reused for layer in second.layers] == [True, True, False, False]


def test_model_is_no_copy_and_can_be_read_from_any_byte(workshop: Workshop) -> None:
    content = os.urandom(100_000)
    image = workshop.open(workshop.build(models={"churn": content}))
    layer = image.layers[-2]
    assert not (workshop.cache / "blobs" / "sha256" / layer.digest.removeprefix("sha256:")).exists()
    whole = b"".join(layer.read(0))
    assert len(whole) == layer.size
    for offset in (1, 511, 512, 513, 2_000, 50_000, len(whole) - 1025, len(whole) - 1):
        assert b"".join(layer.read(offset)) == whole[offset:]


def test_base_keeps_its_variables_and_labels(tmp_path: Path) -> None:
    settings = {
        "Env": ["PATH=/usr/special:/bin", "TZ=UTC"],
        "Labels": {"vendor": "us"},
        "Cmd": ["bash"],
        "User": "nobody",
    }
    made = Workshop(tmp_path, write_base(tmp_path / "base", config=settings))
    config = config_of(made.open(made.build()))["config"]
    assert "TZ=UTC" in config["Env"]
    assert "PATH=/opt/venv/bin:/usr/special:/bin" in config["Env"]
    assert config["Labels"]["vendor"] == "us"
    assert config["Labels"]["io.mldeploy.image"] == "1"
    assert "Cmd" not in config


def test_python_is_added_where_the_base_has_none(tmp_path: Path) -> None:
    without = {name: content for name, content in DEBIAN.items() if "python" not in name}
    made = Workshop(tmp_path, write_base(tmp_path / "base", without))
    built = made.build(install_python=made.install_python)
    assert [layer.name for layer in built.layers] == ["python", "environment", "server", "code"]
    assert unpack(made.open(built))["opt/venv/bin/python"].linkname == "/opt/python/3.11/bin/python3.11"
    assert made.build("again", install_python=made.install_python).digest == built.digest
    assert made.pythons == 1
    with pytest.raises(ImageError) as refused:
        Workshop(tmp_path / "other", made.base).build()
    assert refused.value.code == "PythonNotFound"


@pytest.mark.parametrize(
    ("kwargs", "name"),
    [
        ({"steps": "RUN apt-get install -y gcc"}, "extra_docker_file_steps"),
        ({"base_dockerfile": "FROM debian"}, "base_dockerfile"),
        ({"apt": ["libgomp1"]}, "system packages"),
        ({"build_context": Path("/tmp")}, "a build context"),
        ({"lock": "# packages of the base image\n"}, "user_managed_dependencies"),
    ],
)
def test_what_needs_an_engine_is_refused_at_once(workshop: Workshop, kwargs: dict[str, Any], name: str) -> None:
    with pytest.raises(ImageError, match=name) as refused:
        workshop.build(**kwargs)
    assert refused.value.code == "UnsupportedByBuilder"
    assert "builder docker" in refused.value.hint
    assert not workshop.events


def test_base_that_cannot_run_a_service_is_refused(tmp_path: Path) -> None:
    alpine = {"lib/ld-musl-x86_64.so.1": b"", "etc/os-release": b'PRETTY_NAME="Alpine Linux v3.20"\n'}
    with pytest.raises(EngineError) as refused:
        Workshop(tmp_path, write_base(tmp_path / "alpine", alpine)).build()
    assert refused.value.failure["code"] == "base-musl"
    with pytest.raises(ImageError) as other:
        Workshop(tmp_path, write_base(tmp_path / "arm", architecture="arm64")).build()
    assert other.value.code == "WrongArchitecture"
    assert "linux/arm64" in other.value.why


def test_steps_and_layers_are_reported(workshop: Workshop) -> None:
    workshop.build(models={"churn": b"model"})
    steps = [(data["step"], text) for kind, text, data in workshop.events if kind == "progress" and "step" in data]
    assert steps == [
        ("1/6", f"Base image {workshop.base}"),
        ("2/6", "Python environment with Python 3.11"),
        ("3/6", "Scoring server"),
        ("4/6", "Model churn:1"),
        ("5/6", "Code"),
        ("6/6", "Configuration"),
    ]
    layers = [data["layer"]["name"] for _, _, data in workshop.events if "layer" in data]
    assert layers == ["base Debian GNU/Linux 12 (bookworm)", "environment", "server", "model churn:1", "code"]


def test_layer_that_was_removed_is_made_again(workshop: Workshop) -> None:
    first = workshop.build()
    for path in (workshop.cache / "blobs" / "sha256").iterdir():
        path.unlink()
    assert workshop.build("again").digest == first.digest
    assert workshop.installed == 2


def test_missing_image_is_named(workshop: Workshop) -> None:
    with pytest.raises(ImageError) as missing:
        open_image("churn:9", workshop.cache)
    assert missing.value.code == "ImageNotFound"


def test_an_image_that_is_kept_has_each_layer_once_and_outlives_the_model_s_files(workshop: Workshop) -> None:
    """The base, the environment and the model are not copied for each package."""
    users = [workshop.folder / f"{name}.json" for name in ("first", "second")]
    images = [workshop.build(name, script=SCRIPT + f"# {name}", models={"churn": b"model"}) for name in "ab"]
    for user, built in zip(users, images, strict=True):
        user.write_text("{}")
        keep_for(user, built.digest, workshop.cache)
    store = BlobStore(workshop.cache)
    needed = {blob.digest.removeprefix("sha256:") for built in images for blob in workshop.open(built).blobs}
    stored = {path.name for path in (workshop.cache / "blobs" / "sha256").iterdir()}
    assert needed <= stored and len(stored - needed) == 1  # the base's own configuration
    for path in workshop.folder.rglob("model.bin"):
        path.unlink()
    assert store.sweep(min_age=60, now=lambda: time.time() + 1e6) > 0  # what the builder knew of layers
    for built in images:
        assert unpack(workshop.open(built))["var/azureml-app/azureml-models/churn/1/model.bin"].size == 5


def test_a_full_disk_is_an_error_of_the_image(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: Any, **kwargs: Any) -> Any:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(BlobStore, "add_layer", full)
    with pytest.raises(ImageError) as raised:
        workshop.build()
    assert raised.value.code == "DiskFull" and "MLDEPLOY_CACHE" in raised.value.hint
