"""The content of an image, as layers in the order in which they change: server, models, code.

    /opt/venv/                                the Python environment, which each builder makes in its own way
    /opt/mldeploy/server/mldeploy_serving/    the bundle's scoring server
    /var/azureml-app/azureml-models/<name>/<version>/...      one layer a model
    /var/azureml-app/<source folder>/...      the entry script and its helpers: the last layer,
    /opt/mldeploy/service.json                with what the container is to run
    /var/lib/mldeploy/                        the state folder: the only one that a container writes to, beside /tmp

A file's content is read only when a builder needs it: digests and sizes come from the bundle's manifest.
No key and no credential goes into an image.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mldeploy_jupyter.core.bundle.builder import MODELS, Bundle, damaged_error
from mldeploy_jupyter.images.layer_tar import Entry, LayerFile, LayerFolder, LayerLink

FORMAT = 1  # of service.json

UID = GID = 10001  # the user `mldeploy`

APP = "/var/azureml-app"  # AML_APP_ROOT, as in v1
SERVER = "/opt/mldeploy/server"
SERVICE_FILE = "/opt/mldeploy/service.json"
STATE = "/var/lib/mldeploy"
STATE_MODE = 0o1777  # a plain tmpfs takes it over; clusters such as OpenShift run images as a user of their own
VENV = "/opt/venv"
PYTHONS = "/opt/python"  # where a Python is added to a base image without a fitting one
PYTHON = f"{VENV}/bin/python"

PORT = 5001


@dataclass(frozen=True)
class ContentLayer:
    """A layer of copied files. `name` is shown to users: "server", "model churn:3", "code".

    `entries` are its files and folders by their path in the image, without the leading slash.
    """

    name: str
    entries: Mapping[str, Entry]

    @property
    def key(self) -> str:
        """A SHA-256 of the content: equal for layers whose archives are equal."""
        data: list[list[Any]] = []
        for name, entry in sorted(self.entries.items()):
            if isinstance(entry, LayerFile):
                data.append([name, entry.mode, entry.digest])
            elif isinstance(entry, LayerLink):
                data.append([name, entry.target])
            else:
                data.append([name, entry.mode, entry.uid, entry.gid])
        return hashlib.sha256(json.dumps(data).encode()).hexdigest()

    @property
    def size(self) -> int:
        """The bytes of its files."""
        return sum(entry.size for entry in self.entries.values() if isinstance(entry, LayerFile))


@dataclass(frozen=True)
class ImageContent:
    """What an image is made from. The builders add nothing of their own.

    `bundle` is the bundle's folder and `manifest` its `bundle.json`. `model_files` returns the files of an entry of
    `manifest["models"]` on this disk, by their path in the model. `lock` is the text of the environment's lock and
    `python` its full version ("3.11.7"). `base` is the base image's name. `apt` are packages of the system, `steps`
    further lines of a Dockerfile, `base_dockerfile` the text of one that makes the base, with files from the folder
    `build_context`. `settings` are the server's defaults (`serving/settings.py`).
    """

    bundle: Path
    manifest: dict[str, Any]
    model_files: Callable[[dict[str, Any]], dict[str, Path]]
    lock: str
    python: str
    base: str
    apt: list[str] = field(default_factory=list)
    steps: str = ""
    base_dockerfile: str = ""
    build_context: Path | None = None
    platform: str = "linux/amd64"
    labels: dict[str, str] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def lock_digest(self) -> str:
        return hashlib.sha256(self.lock.encode()).hexdigest()

    @property
    def source_directory(self) -> str:
        return str(self.manifest["source_directory"])

    def layers(self) -> list[ContentLayer]:
        """The layers that we copy, in order. Raises `StorageError` when a model lacks a file."""
        return [self.server_layer(), *self.model_layers(), self.code_layer()]

    def server_layer(self) -> ContentLayer:
        """The scoring server, and the folders that a container needs."""
        entries: dict[str, Entry] = {
            STATE.lstrip("/"): LayerFolder(UID, GID, STATE_MODE),
            APP.lstrip("/"): LayerFolder(),
        }
        return ContentLayer("server", entries | self._bundled("server/", SERVER))

    def model_layers(self) -> list[ContentLayer]:
        """One layer a model, in the manifest's order. Raises `StorageError` when a model lacks a file."""
        bundle, layers = self._bundle(), []
        for model in self.manifest["models"]:
            paths = self.model_files(model)
            entries: dict[str, Entry] = {}
            for name, (digest, size) in bundle.files_below(f"app/{model['folder']}/").items():
                if name not in paths:
                    raise damaged_error(
                        bundle, f"app/{model['folder']}/{name}", "the model lacks the file, a part of it"
                    )
                entries[f"{APP}/{model['folder']}/{name}".lstrip("/")] = LayerFile(paths[name], digest, size)
            layers.append(ContentLayer(f"model {model['name']}:{model['version']}", entries))
        return layers

    def code_layer(self) -> ContentLayer:
        """Entry script and helpers, and the file that says what to run. It changes most often, so it comes last."""
        entries: dict[str, Entry] = {
            f"{APP}/{MODELS}".lstrip("/"): LayerFolder(),
            SERVICE_FILE.lstrip("/"): LayerFile.of(self.service_file().encode()),
        }
        source = self._bundled(f"app/{self.source_directory}/", f"{APP}/{self.source_directory}")
        return ContentLayer("code", entries | source)

    def service_file(self) -> str:
        """The text of `service.json`, which `mldeploy_serving.container` reads."""
        bundle = self._bundle()
        variables = self.manifest.get("environment", {}).get("variables", {})
        data = {
            "format": FORMAT,
            "source_directory": self.source_directory,
            "entry_script": bundle.entry_script,
            "model_dir": f"{APP}/{bundle.model_folder}",
            "python": PYTHON,
            "server_path": SERVER,
            "server_digest": bundle.server_digest,
            "env": dict(sorted(variables.items())),
            "bundle": bundle.digest,
            "defaults": self.settings,
        }
        return json.dumps(data, sort_keys=True, indent=1)

    def image_labels(self) -> dict[str, str]:
        """The labels that an image is found and recognised by; digests are SHA-256."""
        return {
            **self.labels,
            "io.mldeploy.image": "1",
            "io.mldeploy.bundle": self._bundle().digest,
            "io.mldeploy.python": self.python,
            "io.mldeploy.lock": self.lock_digest,
        }

    def _bundle(self) -> Bundle:
        return Bundle(self.bundle, self.manifest)

    def _bundled(self, folder: str, target: str) -> dict[str, Entry]:
        """The bundle's files below `folder`, by their path below the folder `target` of the image."""
        files = self._bundle().files_below(folder).items()
        return {
            f"{target}/{name}".lstrip("/"): LayerFile(self.bundle / folder / name, digest, size)
            for name, (digest, size) in files
        }


def runtime_variables(base_path: str = "") -> dict[str, str]:
    """The environment variables of an image; `base_path` is the PATH of its base."""
    path = base_path or "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    return {
        "AML_APP_ROOT": APP,
        "HOME": STATE,
        "LANG": "C.UTF-8",
        "PATH": f"{VENV}/bin:{path}",
        "PYTHONPATH": SERVER,
    }


# What an image runs, as both builders write it into its configuration. Times of the health check are in seconds.
ENTRYPOINT = [PYTHON, "-P", "-m", "mldeploy_serving.container"]
HEALTHCHECK = [PYTHON, "-P", "-m", "mldeploy_serving.container", "health"]
HEALTH_TIMES = {"interval": 10, "timeout": 10, "start_period": 600, "retries": 3}
