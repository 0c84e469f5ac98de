"""Images that are made without an engine: real registries, a real environment, and an engine that runs the result."""

from __future__ import annotations

import functools
import gzip
import io
import json
import os
import shutil
import sys
import tarfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import requests

from mldeploy_jupyter import environments
from mldeploy_jupyter.core.errors import EnvironmentBuildError
from mldeploy_jupyter.docker_engine import open_engine
from mldeploy_jupyter.images import oci
from mldeploy_jupyter.images.oci_layout import OciImage, read_layout, write_layout
from mldeploy_jupyter.images.oci_store import load, open_image, push
from mldeploy_jupyter.images.registry import Credentials, Pushed, Registry, fetch_manifest, parse_reference, push_image
from mldeploy_jupyter.images.types import BuiltImage
from tests.engines.docker import OwnEngine
from tests.engines.registry import RegistryServer
from tests.integration.images.builds import BuildEvents, locked
from tests.polling import wait_for_value, wait_until
from tests.unit.images.bases import DEBIAN, write_base
from tests.unit.images.contents import make_content

pytestmark = [pytest.mark.engines, pytest.mark.network]

Start = Callable[..., RegistryServer]

SCRIPT = (
    "import six\n\n\ndef init():\n    pass\n\n\ndef run(data):\n    return {{'six': six.__version__, 'answer': {}}}\n"
)


@dataclass
class Workshop:
    """Builds on one cache; what was reported is in `events`."""

    folder: Path
    base: str
    cache: Path
    events: BuildEvents = field(default_factory=BuildEvents)

    def build(self, name: str = "project", *, answer: int = 1, **kwargs: Any) -> BuiltImage:
        registry = kwargs.pop("registry", None)
        lock = locked("six==1.17.0")
        content = make_content(
            self.folder / name,
            **{
                "script": SCRIPT.format(answer),
                "models": {"churn": b"model" * 10_000},
                "lock": lock.text,
                "python": lock.python_version,
                "base": self.base,
                **kwargs,
            },
        )
        return oci.build(
            content,
            registry,
            self.events,
            lambda: None,
            install=environments.install_for_platform,
            install_python=functools.partial(environments.install_python, cache=self.folder),
            cache=self.cache,
        )

    def open(self, built: BuiltImage) -> OciImage:
        return open_image(built.digest, self.cache)

    def push(self, built: BuiltImage, reference: str, credentials: Credentials | None = None) -> Pushed:
        return push(built, reference, credentials, self.events, lambda: None, cache=self.cache)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Layers are made once for all tests of this module that need no new ones."""
    return tmp_path_factory.mktemp("layers")


@pytest.fixture
def workshop(tmp_path: Path, base_image: str, cache: Path) -> Workshop:
    return Workshop(tmp_path, base_image, cache)


def test_image_is_the_same_from_another_place(
    workshop: Workshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another path, mask, owner, time, language and time zone: the same digest."""
    first = workshop.build()
    other = Workshop(tmp_path / "a place with spaces", workshop.base, tmp_path / "other cache")
    monkeypatch.setenv("TZ", "Pacific/Kiritimati")
    monkeypatch.setenv("LANG", "de_DE.UTF-8")
    monkeypatch.setenv("PYTHONHASHSEED", "7")
    time.tzset()
    mask = os.umask(0o077)
    try:
        other.build("made before", base=workshop.base)
        for path in (tmp_path / "a place with spaces").rglob("*"):
            os.utime(path, (4_000_000_000, 4_000_000_000))
            if os.geteuid() == 0:
                os.chown(path, 1234, 1234)
        shutil.rmtree(other.cache)
        second = other.build("made before")
    finally:
        os.umask(mask)
        monkeypatch.undo()
        time.tzset()
    assert second.digest == first.digest
    assert second.id == first.id
    assert not any(layer.reused for layer in second.layers)


def test_changed_script_uploads_two_small_blobs(workshop: Workshop, image_registry: RegistryServer) -> None:
    name = f"{image_registry.address}/oci/changed"
    workshop.push(workshop.build("first"), f"{name}:1")
    before = len(image_registry.log())
    second = workshop.build("second", answer=2)
    pushed = workshop.push(second, f"{name}:2")
    sent = [blob.blob for blob in pushed.blobs if blob.how == "uploaded"]
    assert sorted(blob.name for blob in sent) == ["code", "configuration"]
    assert pushed.uploaded_bytes < 10_000

    def logged(request: str) -> int:
        return image_registry.log()[before:].count(request)

    wait_for_value(lambda: logged('"PUT /v2/oci/changed/blobs/uploads/'), 2)  # logged once it was answered
    assert logged('"PATCH ') == 0
    assert [layer.name for layer in second.layers if not layer.reused] == ["code"]


def test_changed_model_does_not_touch_the_environment(workshop: Workshop, image_registry: RegistryServer) -> None:
    name = f"{image_registry.address}/oci/model"
    workshop.push(workshop.build("first"), f"{name}:1")
    pushed = workshop.push(workshop.build("second", models={"churn": b"other" * 10_000}), f"{name}:2")
    sent = sorted(blob.blob.name for blob in pushed.blobs if blob.how == "uploaded")
    assert sent == [
        "code",
        "configuration",
        "model churn:1",
    ]  # the code layer names the bundle, which has another digest


def test_base_is_mounted_and_never_sent(workshop: Workshop, image_registry: RegistryServer) -> None:
    pushed = workshop.push(workshop.build(), f"{image_registry.address}/oci/mounted:1")
    assert [blob.how for blob in pushed.blobs if blob.blob.name.startswith("base")] == ["mounted"]


def test_image_of_a_folder_is_pushed_without_its_base(
    workshop: Workshop, image_registry: RegistryServer, tmp_path: Path
) -> None:
    """An image that was written to disk still knows the registry that has its base."""
    write_layout(workshop.open(workshop.build()), tmp_path / "layout")
    name = f"{image_registry.address}/oci/from-folder:1"
    pushed = push(read_layout(tmp_path / "layout"), name, None, workshop.events, lambda: None)
    found = {blob.blob.name: blob.how for blob in pushed.blobs}
    assert found.pop("base 1") == "mounted"
    assert found == dict.fromkeys(["configuration", "environment", "server", "model churn:1", "code"], "uploaded")


def answer_of(engine: OwnEngine, image: str, user: str | None = None) -> Any:
    """What a container of the image answers, with a read-only root and without any right."""
    client = engine.client()
    container = client.containers.run(
        image,
        detach=True,
        read_only=True,
        user=user,
        cap_drop=["ALL"],
        security_opt=["no-new-privileges"],
        tmpfs={"/tmp": "", "/var/lib/mldeploy": ""},
        ports={"5001/tcp": ("127.0.0.1", 0)},
    )
    try:

        def ask() -> Any:
            container.reload()
            assert container.status in ("created", "running"), container.logs().decode()[-3000:]
            ports = container.ports.get("5001/tcp")
            try:
                answer = requests.post(f"http://127.0.0.1:{ports[0]['HostPort']}/score", json=1, timeout=60)
            except (requests.RequestException, TypeError, IndexError):  # no port yet, or no answer
                return None
            return answer.json() if answer.status_code == 200 else None

        return wait_until(ask, seconds=60, what=lambda: container.logs().decode()[-3000:])
    finally:
        container.remove(force=True, v=True)
        client.close()


@pytest.mark.slow
def test_image_runs_as_pushed_and_as_loaded(
    workshop: Workshop, image_registry: RegistryServer, building_engine: OwnEngine, tmp_path: Path
) -> None:
    built = workshop.build(answer=3)
    reference = str(workshop.push(built, f"{image_registry.address}/oci/runs:1").reference)
    client = building_engine.client()
    assert client.images.pull(reference.replace(":1@", "@")).id == built.id
    expected = {"six": "1.17.0", "answer": 3}
    assert answer_of(building_engine, built.id) == expected
    assert answer_of(building_engine, built.id, "1000650000:0") == expected  # one that OpenShift might choose
    client.images.remove(built.id, force=True)

    write_layout(workshop.open(built), tmp_path / "layout", "1")
    engine = open_engine({"DOCKER_HOST": building_engine.host})
    loaded = load(read_layout(tmp_path / "layout", "1"), engine, "mldeploy-oci-test:1", workshop.events, lambda: None)
    assert loaded == built.id
    assert answer_of(building_engine, "mldeploy-oci-test:1") == expected
    client.images.remove("mldeploy-oci-test:1", force=True)
    engine.close()
    client.close()


@pytest.mark.slow
def test_python_is_added_to_a_base_without_one(
    workshop: Workshop, image_registry: RegistryServer, building_engine: OwnEngine, tmp_path: Path
) -> None:
    """A Python of this machine, put where uv's download would be: it runs from its new place."""
    minor = "{}.{}".format(*sys.version_info)
    system = Path(f"/usr/bin/python{minor}")
    if not system.is_file():
        pytest.skip(f"needs Debian's Python {minor}: apt-get install python{minor}")
    layout = write_base(tmp_path / "gone", {f"usr/bin/.wh.python{minor}": b"", f"usr/local/bin/.wh.python{minor}": b""})
    removal = read_layout(Path(layout.removeprefix("oci:")))
    registry = Registry(image_registry.address)
    base = parse_reference(workshop.base)
    manifest = fetch_manifest(registry, base)
    config = json.loads(b"".join(_blob(registry, base.repository, manifest.data["config"])))
    config["rootfs"]["diff_ids"] += json.loads(b"".join(removal.config.read(0)))["rootfs"]["diff_ids"]
    config.pop("history", None)
    without = f"{image_registry.address}/oci/without-python:1"
    _push_base(without, config, [*manifest.data["layers"], removal.layers[0].descriptor()], removal, base)
    registry.close()

    store = tmp_path / "pythons" / f"cpython-{minor}.99-linux-x86_64-gnu"
    (store / "bin").mkdir(parents=True)
    shutil.copy(system, store / "bin" / f"python{minor}")
    ignored = shutil.ignore_patterns("dist-packages", "test", "__pycache__", "*.a")
    shutil.copytree(Path("/usr/lib", f"python{minor}"), store / "lib" / f"python{minor}", ignore=ignored)

    built = workshop.build(base=without)
    assert built.layers[0].name == "python"
    reference = str(workshop.push(built, f"{image_registry.address}/oci/with-python:1").reference)
    client = building_engine.client()
    client.images.pull(reference.replace(":1@", "@"))
    said = client.containers.run(
        built.id,
        ["-c", "import sys; print(sys.prefix, sys.base_prefix)"],
        entrypoint="/opt/venv/bin/python",
        remove=True,
    )
    assert said.decode().split() == ["/opt/venv", f"/opt/python/{minor}"]
    assert answer_of(building_engine, built.id) == {"six": "1.17.0", "answer": 1}
    client.images.remove(built.id, force=True)
    client.close()


def _blob(registry: Registry, repository: str, part: dict[str, Any]) -> Any:
    from mldeploy_jupyter.images.registry import read_blob

    return read_blob(registry, repository, part["digest"], part["size"])


def _push_base(name: str, config: dict[str, Any], layers: list[dict[str, Any]], added: OciImage, source: Any) -> None:
    """Pushes an image of layers that `source` has, and those of `added`."""
    from mldeploy_jupyter.images.registry import Blob, parse_manifest
    from mldeploy_jupyter.images.registry.manifests import LAYER_TYPES, OCI_CONFIG, OCI_MANIFEST, digest_of

    text = json.dumps(config).encode()
    own = Blob(digest_of(text), len(text), OCI_CONFIG, lambda offset: iter([text[offset:]]))
    known = {blob.digest: blob for blob in added.layers}
    parts = [{**part, "mediaType": LAYER_TYPES.get(part["mediaType"], part["mediaType"])} for part in layers]
    blobs = [
        known.get(part["digest"])
        or Blob(part["digest"], part["size"], part["mediaType"], lambda offset: iter(()), source)
        for part in parts
    ]
    manifest = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": own.descriptor(), "layers": parts}
    made = parse_manifest(json.dumps(manifest).encode())
    push_image(made, [own, *blobs], name, None, BuildEvents(), lambda: None)


def test_no_password_is_in_any_layer_or_in_the_history(
    start_registry: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = start_registry(user="ann", password="planted-secret-1", base=True)
    monkeypatch.setenv("MY_TOKEN", "planted-secret-2")
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    workshop = Workshop(tmp_path, server.base, tmp_path / "cache")
    with pytest.raises(Exception, match="refuses access"):
        workshop.build()
    credentials = Credentials("ann", "planted-secret-1")
    registry = Registry(server.address, credentials)
    built = workshop.build(registry=registry)
    registry.close()
    workshop.push(built, f"{server.address}/private:1", credentials)
    image = workshop.open(built)
    kept = [path.read_bytes() for path in workshop.cache.rglob("*") if path.is_file() and path.suffix == ".json"]
    ours = [b"".join(layer.read(0)) for layer in image.layers if not layer.name.startswith("base")]
    plain = [gzip.decompress(content) if content.startswith(b"\x1f\x8b") else content for content in ours]
    everything = b"".join(
        [image.manifest.text, b"".join(image.config.read(0)), *plain, *kept, repr(workshop.events.events).encode()]
    )
    assert b"planted-secret" not in everything
    assert str(tmp_path).encode() not in b"".join([image.manifest.text, b"".join(image.config.read(0)), *plain])
    for content in plain:
        with tarfile.open(fileobj=io.BytesIO(content)) as tar:
            assert {(member.uname, member.gname, int(member.mtime)) for member in tar} == {("", "", 315_532_800)}


def test_tag_that_has_moved_is_seen(image_registry: RegistryServer, tmp_path: Path) -> None:
    """Fault 45: the image names the bytes it was made from, whatever its base's tag names later."""
    name = f"{image_registry.address}/oci/moving:1"
    workshop = Workshop(tmp_path, name, tmp_path / "cache")
    digests = []
    for number in range(2):
        layout = write_base(tmp_path / f"base-{number}", {**DEBIAN, "etc/release": str(number)})
        image = read_layout(Path(layout.removeprefix("oci:")))
        push_image(image.manifest, image.blobs, name, None, BuildEvents(), lambda: None)
        digests.append(image.manifest.digest)
        built = workshop.build(f"project-{number}")
        assert built.base_digest == built.receipt["base"]["digest"] == digests[-1]
    assert f"{name} has moved: it was {digests[0][:19]}, now {digests[1][:19]}" in workshop.events.log


def test_package_without_a_wheel_is_refused_by_name(workshop: Workshop) -> None:
    lock = locked("six==1.17.0")
    text = lock.text + "churn-helpers @ https://files.example/churn_helpers-1.0.tar.gz\n"
    with pytest.raises(EnvironmentBuildError, match="churn-helpers") as refused:
        workshop.build(lock=text)
    assert refused.value.code == "SourceOnly"
    assert "builder docker" in refused.value.hint
