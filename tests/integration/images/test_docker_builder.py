"""Images made by a real engine: what is in them, what is made again, and how a build ends that cannot continue."""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from typing import Any

import pytest
import requests

from mldeploy_jupyter import environments
from mldeploy_jupyter.core.diagnosis import explain
from mldeploy_jupyter.core.environment.spec import EnvironmentSpec
from mldeploy_jupyter.core.errors import ImageError
from mldeploy_jupyter.docker_engine import EngineError, open_engine
from mldeploy_jupyter.images.context_folder import write_context
from mldeploy_jupyter.images.environment_files import environment_settings
from mldeploy_jupyter.images.layer_tar import LayerFile
from mldeploy_jupyter.images.types import BuildSecrets
from tests.engines.docker import OwnEngine
from tests.engines.podman import PodmanEngine
from tests.engines.registry import RegistryServer
from tests.integration.environments.conftest import conda_package, wheel
from tests.integration.images.builds import Build, BuildEvents, locked, machine_secrets, read_layers
from tests.polling import wait_until
from tests.unit.images.contents import SCRIPT

pytestmark = [pytest.mark.engines, pytest.mark.slow]

PLANTED = "pw-7f3a9c51e2"  # of an index; it must be nowhere in an image


class Cancelled(Exception):
    pass


def test_a_changed_script_sends_the_script_and_a_changed_model_keeps_the_environment(build: Build) -> None:
    events = BuildEvents()
    weights = bytes(3_000_000)
    first = build.make(build.content(models={"churn": weights}, fresh=True), events)
    assert [layer.name for layer in first.layers] == ["base", "environment", "server", "model churn:1", "code"]
    assert [layer.reused for layer in first.layers] == [True, False, False, False, False]
    assert any("six==1.17.0" in line for line in events.log.splitlines())
    assert events.steps[-2:] == ["Model churn:1 (3.0 MB)", f"Code ({first.layers[-1].size} bytes)"]
    fractions = [data["fraction"] for _, _, data in events.events if "fraction" in data]
    assert fractions == sorted(fractions)

    sent = count_bytes(build)
    changed = build.make(build.content(script=SCRIPT + "# more\n", models={"churn": weights}, fresh=True))
    assert [layer.name for layer in changed.layers if not layer.reused] == ["code"]
    assert sum(sent) < 100_000
    layers = root_layers(build, changed.id)
    assert layers[:-1] == root_layers(build, first.id)[:-1]  # one layer more than what both have

    model = build.make(build.content(models={"churn": bytes(3_000_001)}, fresh=True))
    assert [layer.name for layer in model.layers if not layer.reused] == ["model churn:1", "code"]

    again = build.make(build.content(script=SCRIPT + "# more\n", models={"churn": weights}, fresh=True))
    assert again.id == changed.id
    assert all(layer.reused for layer in again.layers)


def count_bytes(build: Build) -> list[int]:
    """A list that grows by the bytes of every context that is sent from now on."""
    sent: list[int] = []
    api = build.engine.client.api
    post = api.post

    def counting(url: str, data: Any = None, **kwargs: Any) -> Any:
        def pieces() -> Any:
            for piece in data:
                sent.append(len(piece))
                yield piece

        return post(url, data=pieces() if hasattr(data, "__next__") else data, **kwargs)

    api.post = counting
    return sent


def root_layers(build: Build, image: str) -> list[str]:
    return list(build.engine.client.api.inspect_image(image)["RootFS"]["Layers"])


def test_layers_that_we_copy_are_the_same_when_they_are_made_again(build: Build, tmp_path: Path) -> None:
    first = build.make(build.content("one", models={"churn": b"weights"}, fresh=True))
    digests = {layer.name: layer.digest for layer in first.layers}
    remove_all(build)
    second = build.make(build.content("two/deeper", models={"churn": b"weights"}, fresh=True))
    assert not any(layer.reused for layer in second.layers[1:])
    for layer in second.layers:
        if layer.name in ("model churn:1", "code"):
            assert layer.digest == digests[layer.name]
    assert second.receipt["bundle"] == first.receipt["bundle"]


def remove_all(build: Build) -> None:
    api = build.engine.client.api
    for image in api.images(filters={"label": "io.mldeploy.key"}):  # newest first
        for tag in image["RepoTags"] or []:
            api.remove_image(tag)


def test_no_setting_of_the_machine_stays_in_the_image_or_in_the_engine(build: Build) -> None:
    machine = machine_secrets()
    variables = {**machine.variables, "UV_INDEX_PLANTED_USERNAME": "user", "UV_INDEX_PLANTED_PASSWORD": PLANTED}
    proxies = {**machine.proxies, "NO_PROXY": f"*,{PLANTED}.example"}
    certificates = machine.ca_bundle + f"\n# {PLANTED}\n"
    events = BuildEvents()
    content = build.content(steps="RUN test -n $NO_PROXY", models={"churn": b"weights"}, fresh=True)
    made = build.make(content, events, secrets=BuildSecrets(proxies, variables, certificates, "user", PLANTED))
    assert PLANTED not in build.history(made.id)
    assert "io.mldeploy.stage" not in build.history(made.id)
    for layer, entry, data in read_layers(build.engine, made.id):
        assert PLANTED.encode() not in data, (layer, entry.name)
        assert PLANTED not in str(entry.get_info())
    left = build.engine.client.api.images(filters={"label": "io.mldeploy.stage"}, all=True)
    assert left == []


def test_the_image_has_the_user_labels_and_program_of_the_contract(build: Build) -> None:
    content = build.content(models={"churn": b"weights"})
    made = build.make(content)
    config = build.engine.client.api.inspect_image(made.id)["Config"]
    assert config["User"] == "10001:10001"
    assert config["Entrypoint"] == ["/opt/venv/bin/python", "-P", "-m", "mldeploy_serving.container"]
    assert config["Healthcheck"]["Test"][-1] == "health"
    assert "5001/tcp" in config["ExposedPorts"]
    assert content.image_labels().items() <= config["Labels"].items()
    code = "import os, httptools, mldeploy_serving, getpass; print(getpass.getuser(), os.listdir('/var/lib/mldeploy'))"
    assert build.run(made.id, "/opt/venv/bin/python", "-c", code, read_only=True).split() == ["mldeploy", "[]"]


@pytest.mark.parametrize("user", [None, "1000650000:0"])  # the second is of the kind that OpenShift chooses
def test_the_image_runs_with_a_read_only_root_and_scores(build: Build, user: str | None) -> None:
    script = (
        "import os\n\ndef init():\n    global size\n"
        "    size = os.path.getsize(os.path.join(os.environ['AZUREML_MODEL_DIR'], 'model.bin'))\n\n"
        "def run(data):\n    return {'size': size, 'got': data}\n"
    )
    made = build.make(build.content(script=script, models={"churn": b"weights"}))
    container = build.engine.client.containers.run(
        made.id,
        detach=True,
        read_only=True,
        user=user,
        cap_drop=["ALL"],
        security_opt=["no-new-privileges"],
        tmpfs={"/tmp": "", "/var/lib/mldeploy": ""},
        ports={"5001/tcp": ("127.0.0.1", None)},
    )
    try:

        def port() -> str:
            container.reload()
            assert container.status == "running", container.logs().decode()
            return str(((container.ports or {}).get("5001/tcp") or [{}])[0].get("HostPort", ""))

        address = f"http://127.0.0.1:{wait_until(port)}"

        def answer() -> requests.Response | None:
            port()
            try:
                return requests.post(f"{address}/score", data='{"data": [1]}', timeout=60)
            except requests.ConnectionError:
                return None

        def score() -> requests.Response | None:
            found = answer()
            return found if found is not None and found.status_code == 200 else None

        found = wait_until(score, 60, lambda: container.logs().decode())
        assert found is not None and found.json()["size"] == 7
    finally:
        container.remove(force=True, v=True)


def test_own_steps_and_system_packages_come_before_the_environment(build: Build, tmp_path: Path) -> None:
    context = tmp_path / "context"
    context.mkdir()
    (context / "note.txt").write_text("from the context")
    (context / "data.csv").write_text("not this")
    (context / ".dockerignore").write_text("*.csv\n")
    steps = "# a comment\nENV NOTE=1\nCOPY . /note/\nRUN echo one \\\n  && echo two\n"
    events = BuildEvents()
    made = build.make(build.content(steps=steps, build_context=context), events)
    assert [layer.name for layer in made.layers][:3] == ["base", "system", "environment"]
    assert events.steps[:3] == ["ENV NOTE=1", "COPY . /note/", "RUN echo one && echo two"]
    assert build.run(made.id, "/bin/sh", "-c", "ls /note; echo $NOTE").split() == ["note.txt", "1"]


def test_a_base_dockerfile_makes_the_base(build: Build) -> None:
    text = f"FROM {build.base} AS first\nRUN echo made > /made\nFROM first\nRUN cat /made\n"
    made = build.make(build.content(base="", base_dockerfile=text))
    assert build.run(made.id, "/bin/cat", "/made") == "made\n"
    assert made.base_digest == ""


def test_a_step_that_fails_is_named_with_what_it_said_and_leaves_nothing(build: Build) -> None:
    before = build.images()
    with pytest.raises(EngineError) as caught:
        build.make(build.content(steps="RUN echo good\nRUN echo no such thing >&2; exit 7\n"))
    cause = explain(caught.value.failure, settings={"service": "churn"})
    assert cause.what == "a step of the image's build failed: RUN echo no such thing >&2; exit 7"
    assert "exit code 7: no such thing" in cause.why
    assert build.images() == before


def test_a_cancelled_build_ends_at_once_with_its_container(build: Build) -> None:
    before, running = build.images(), threading.Event()
    began = BuildEvents()

    def cancel() -> None:
        if "sleeping" in began.log:
            running.set()
            raise Cancelled

    with pytest.raises(Cancelled):  # a build of ten minutes
        build.make(build.content(steps="RUN echo sleeping; sleep 600\n"), began, cancel=cancel)
    api = build.engine.client.api

    def is_gone() -> bool:
        return not any("sleep 600" in str(item["Command"]) for item in api.containers())

    wait_until(is_gone)
    assert build.images() == before


def test_a_cancelled_environment_leaves_no_stage(build: Build) -> None:
    events = BuildEvents()

    def cancel() -> None:
        if any("Install" in step for step in events.steps):
            raise Cancelled

    with pytest.raises(Cancelled):
        build.make(build.content(fresh=True), events, cancel=cancel)
    api = build.engine.client.api
    wait_until(lambda: api.images(filters={"label": "io.mldeploy.stage"}, all=True) == [])


@pytest.mark.parametrize(
    ("base", "code"),
    [("{registry}/not-there:1", "no-image"), ("127.0.0.1:9/away:1", "registry-away")],
)
def test_a_base_that_cannot_be_had_is_named(build: Build, image_registry: RegistryServer, base: str, code: str) -> None:
    base = base.format(registry=image_registry.address)
    with pytest.raises(EngineError) as caught:
        build.make(build.content(base=base))
    assert caught.value.failure["code"] == code
    assert base in explain(caught.value.failure).what or base.split("/")[0] in explain(caught.value.failure).what


def test_a_private_base_needs_its_password_which_is_kept_nowhere(build: Build, start_registry: Any) -> None:
    registry = start_registry(user="reader", password=PLANTED)
    api = build.engine.client.api
    name = f"{registry.address}/private"
    api.pull(build.base)
    api.tag(build.base, name, "1")
    login = {"username": "reader", "password": PLANTED}
    assert "error" not in api.push(name, "1", auth_config=login)
    api.remove_image(f"{name}:1")
    with pytest.raises(EngineError) as caught:
        build.make(build.content(base=f"{name}:1"))
    assert caught.value.failure["code"] == "registry-refused"
    machine = machine_secrets()
    secrets = BuildSecrets(machine.proxies, machine.variables, machine.ca_bundle, "reader", PLANTED)
    made = build.make(build.content(base=f"{name}:1"), secrets=secrets)
    assert made.base_digest.startswith("sha256:")
    assert made.receipt["base"]["pinned"] == f"{name}@{made.base_digest}"
    assert PLANTED not in build.history(made.id) + str(made.receipt)


def make_base(build: Build, name: str, files: dict[str, tuple[str, int]], os_release: str = "") -> str:
    """A base image made of a few files."""
    import io
    import tarfile

    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for path, (text, mode) in files.items():
            info = tarfile.TarInfo(path)
            info.size, info.mode = len(text.encode()), mode
            tar.addfile(info, io.BytesIO(text.encode()))
    build.engine.client.api.import_image_from_data(archive.getvalue(), repository=f"mldeploy-test-{name}", tag="1")
    return f"mldeploy-test-{name}:1"


def test_a_base_without_a_shell_is_refused_before_the_long_steps(build: Build) -> None:
    base = make_base(build, "no-shell", {"etc/passwd": ("root:x:0:0::/:/\n", 0o644)})
    events = BuildEvents()
    with pytest.raises(EngineError) as caught:
        build.make(build.content(base=base), events)
    assert caught.value.failure["code"] == "base-no-shell"
    assert events.steps == []


def test_a_base_with_musl_is_refused_by_name(build: Build, tmp_path: Path) -> None:
    # Debian's shell and a file where musl's loader would be: what tells the two apart.
    text = f"FROM {build.base}\nRUN touch /lib/ld-musl-x86_64.so.1\n"
    with pytest.raises(EngineError) as caught:
        build.make(build.content(base="", base_dockerfile=text))
    cause = explain(caught.value.failure)
    assert (cause.code, "musl" in cause.why, "not alpine" in cause.hint) == ("base-musl", True, True)


def test_an_image_for_another_architecture_is_refused(build: Build) -> None:
    with pytest.raises(EngineError) as caught:
        build.make(build.content(platform="linux/s390x"))
    assert caught.value.failure["code"] == "wrong-architecture"


def test_the_receipt_pins_the_base_to_its_digest(build: Build) -> None:
    """Fault 45: a tag may be moved; what an image was made from is named by digest."""
    content = build.content()
    made = build.make(content)
    base = made.receipt["base"]
    assert base["pinned"].endswith(f"@{made.base_digest}")
    assert made.receipt["lock"] == content.lock_digest
    again = build.make(build.content(base=base["pinned"]))
    assert again.id == made.id  # the same bytes under the name that cannot move


def test_a_daemon_that_ends_in_the_middle_is_named_and_the_next_build_goes_on(
    own_docker_engine: OwnEngine, tmp_path: Path, base_image: str
) -> None:
    """Fault 3: nothing hangs, and what was finished is used again."""
    build = Build(open_engine({"DOCKER_HOST": own_docker_engine.host}), tmp_path, base_image)
    content = build.content(steps="RUN echo sleeping; sleep 600\n")
    events = BuildEvents()
    failures: list[EngineError] = []

    def run() -> None:
        try:
            build.make(content, events)
        except EngineError as error:
            failures.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    wait_until(lambda: "sleeping" in events.log, 120)
    own_docker_engine.restart()
    thread.join(60)
    assert not thread.is_alive()
    assert failures[0].failure["code"] == "engine-lost"
    build = Build(open_engine({"DOCKER_HOST": own_docker_engine.host}), tmp_path, base_image)
    made = build.make(build.content())
    assert made.id
    build.engine.close()


def give_settings(folder: Path) -> None:
    """What a user does who has an index or a proxy of his own."""
    machine = machine_secrets()
    for name, entry in environment_settings({**machine.proxies, **machine.variables}, machine.ca_bundle).items():
        assert isinstance(entry, LayerFile) and isinstance(entry.source, bytes)
        with (folder / "mldeploy" / name).open("ab") as file:
            file.write(entry.source)


def test_a_context_on_disk_makes_the_same_image(build: Build, tmp_path: Path) -> None:
    context = tmp_path / "context"
    context.mkdir()
    (context / "note.txt").write_text("from the context")
    content = build.content(steps="COPY note.txt /note.txt\n", build_context=context, models={"churn": b"weights"})
    folder = tmp_path / "written"
    write_context(content, folder)
    give_settings(folder)
    image, _ = build.engine.client.images.build(path=str(folder), tag="mldeploy-test:context", rm=True)
    made = build.make(content)
    files = "find /opt/mldeploy /var/azureml-app /note.txt -type f -not -name '*.pyc' | sort | xargs sha256sum"
    assert build.run(image.id, "/bin/sh", "-c", files) == build.run(made.id, "/bin/sh", "-c", files)
    packages = "import importlib.metadata as m; print(sorted((d.name, d.version) for d in m.distributions()))"
    assert build.run(image.id, "/opt/venv/bin/python", "-c", packages) == build.run(
        made.id, "/opt/venv/bin/python", "-c", packages
    )


def test_conda_packages_and_packages_of_a_folder_are_in_the_image(build: Build, tmp_path: Path) -> None:
    channel, wheels = tmp_path / "channel", tmp_path / "wheels"
    wheels.mkdir()
    wheel(wheels, "demo", "1.0")
    module = {"site-packages/words.py": b"VERSION = 2"}
    script = {"bin/.words-post-link.sh": b"touch $PREFIX/linked\n"}
    conda_package(channel, "words", "2.1", depends=("python",), files={**module, **script})
    machine = machine_secrets()
    spec = EnvironmentSpec(
        pip=["demo"],
        pip_options=[f"--find-links={wheels}"],
        conda=["words"],
        channels=[channel.as_uri()],
        python=".".join(locked().python_version.split(".")[:2]),
    )
    lock = environments.lock(spec, kernel_python=sys.executable)
    assert "# conda words=2.1" in lock.text

    def install(folder: Path) -> None:
        environments.install_conda_for_platform(lock.text, "linux/amd64", folder, spec=spec)

    secrets = BuildSecrets(machine.proxies, environments.index_variables(spec.pip_options), machine.ca_bundle)
    made = build.make(build.content(lock=lock.text, python=lock.python_version), secrets=secrets, install_conda=install)
    code = "import words, demo, httptools, os; print(words.VERSION, os.path.exists('/opt/venv/linked'))"
    assert build.run(made.id, "/opt/venv/bin/python", "-c", code).split() == ["2", "True"]
    folder = tmp_path / "written"
    content = build.content(lock=lock.text, python=lock.python_version)
    write_context(content, folder, variables=secrets.variables, install_conda=install)
    give_settings(folder)
    image, _ = build.engine.client.images.build(path=str(folder), tag="mldeploy-test:conda", rm=True)
    assert build.run(str(image.id), "/opt/venv/bin/python", "-c", code).split() == ["2", "True"]
    with pytest.raises(ImageError, match="conda packages"):
        build.make(build.content(lock=lock.text + "# other\n", python=lock.python_version), secrets=secrets)


def test_podman_builds_the_same_way(podman_engine: PodmanEngine, tmp_path: Path, base_image: str) -> None:
    podman_engine.run("pull", "--tls-verify=false", base_image)
    build = Build(open_engine({"DOCKER_HOST": podman_engine.host}), tmp_path, base_image)
    assert build.engine.kind == "podman"
    try:
        events = BuildEvents()
        first = build.make(build.content(models={"churn": b"weights"}), events)
        assert [layer.name for layer in first.layers][1:] == ["environment", "server", "model churn:1", "code"]
        assert events.steps[0].startswith("Python environment")
        changed = build.make(build.content(script=SCRIPT + "# more\n", models={"churn": b"weights"}))
        assert [layer.name for layer in changed.layers if not layer.reused] == ["code"]
    finally:
        build.engine.close()
