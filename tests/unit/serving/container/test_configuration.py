"""What a container is told: the image's file, the variables, and what is said of those that are wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mldeploy_jupyter.serving.container.configuration import ConfigurationError, read_configuration, take_secret

SERVICE = {
    "format": 1,
    "source_directory": "src",
    "entry_script": "src/score.py",
    "model_dir": "/var/azureml-app/azureml-models/m/1",
    "python": "/opt/venv/bin/python",
    "server_path": "/opt/mldeploy/server",
    "server_digest": "d",
    "env": {"A": "image", "B": "image"},
    "bundle": "b",
    "defaults": {"service": "churn", "revision": 3, "workers": 2, "env": {"never": "used"}},
    "later": "a field of a version to come",
}


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "service.json").write_text(json.dumps(SERVICE))
    return {"MLDEPLOY_SERVICE_FILE": str(tmp_path / "service.json")}


def test_an_image_alone_says_everything(environ: dict[str, str]) -> None:
    found = read_configuration(environ)
    settings = found.settings
    assert (settings.service, settings.revision, settings.workers) == ("churn", 3, 2)
    assert (settings.python, settings.entry_script) == ("/opt/venv/bin/python", "src/score.py")
    assert (settings.server_path, settings.server_digest) == ("/opt/mldeploy/server", "d")
    assert (found.host, found.port, found.listener, found.standby) == ("0.0.0.0", 5001, None, False)
    assert (found.folder, found.image_app) == (Path("/var/lib/mldeploy"), Path("/var/azureml-app"))
    assert (found.stop_seconds, found.stop_delay, found.stated) == (8, 0, frozenset())


def test_variables_override_the_image_but_not_where_things_are(environ: dict[str, str]) -> None:
    given = {"workers": 4, "python": "/usr/bin/python", "env": {"B": "container"}, "unknown": 1}
    more = {"MLDEPLOY_LISTEN": "[::1]:80", "MLDEPLOY_LISTENER": "/v/listener.sock", "MLDEPLOY_STANDBY": "1"}
    found = read_configuration({**environ, **more, "MLDEPLOY_SETTINGS": json.dumps(given)})
    assert found.settings.workers == 4 and found.settings.python == "/opt/venv/bin/python"
    assert found.settings.env == {"A": "image", "B": "container"}
    assert (found.host, found.port, found.standby) == ("::1", 80, True)
    assert found.listener == Path("/v/listener.sock") and "workers" in found.stated


def test_the_origin_changes_with_image_and_settings_only(environ: dict[str, str]) -> None:
    first = read_configuration(environ).origin
    assert read_configuration({**environ, "MLDEPLOY_LISTEN": "0.0.0.0:80", "MLDEPLOY_FOLDER": "/x"}).origin == first
    assert read_configuration({**environ, "MLDEPLOY_SETTINGS": '{"workers": 1}'}).origin != first
    Path(environ["MLDEPLOY_SERVICE_FILE"]).write_text(json.dumps({**SERVICE, "bundle": "other"}))
    assert read_configuration(environ).origin != first


@pytest.mark.parametrize(
    ("service", "text"),
    [
        (None, "cannot be read"),
        ("{", "is not JSON"),
        ("[1]", "is not a JSON object"),
        ('{"format": 2}', "has the format 2, not 1"),
        (json.dumps({**SERVICE, "entry_script": 7}), "settings.entry_script must be str"),
    ],
)
def test_a_damaged_image_is_named(environ: dict[str, str], service: str | None, text: str) -> None:
    path = Path(environ["MLDEPLOY_SERVICE_FILE"])
    path.unlink() if service is None else path.write_text(service)
    with pytest.raises(ConfigurationError, match=text) as raised:
        read_configuration(environ)
    assert raised.value.hint


@pytest.mark.parametrize("address", ["5001", ":5001", "host:", "host:x", "host:65536", "[::1]"])
def test_an_address_has_a_host_and_a_port(environ: dict[str, str], address: str) -> None:
    with pytest.raises(ConfigurationError, match="is not an address"):
        read_configuration({**environ, "MLDEPLOY_LISTEN": address})


def test_a_secret_leaves_the_environment(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("from a file\n")
    path = str(tmp_path / "key")
    environ: dict[str, Any] = {"A": "value", "B_FILE": path, "C": "value", "C_FILE": path}
    assert [take_secret(environ, name) for name in "ABCD"] == ["value", "from a file", "from a file", ""]
    assert set(environ) == {"B_FILE", "C_FILE"}
