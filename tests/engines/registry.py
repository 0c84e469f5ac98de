"""Real image registries, Debian's `docker-registry`, each on a port of 127.0.0.1 of its own."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
from pathlib import Path
from typing import Any

from tests.engines.base_image import REPOSITORY, base_store, suite
from tests.engines.missing import require
from tests.polling import wait_until
from tests.ports import free_port


class RegistryServer:
    """A registry with its data in `folder`, from `start()`, or the beginning of a `with` block, to its end.

    `user` and `password` set up basic authentication, `tls` a certificate whose authority is in the file `ca`. With
    `base`, it has the base image of the tests, `registry.base`. `kill()` and then `start()` is an accident: port and
    data stay.
    """

    def __init__(
        self, folder: Path, *, user: str = "", password: str = "", tls: bool = False, base: bool = False
    ) -> None:
        require("docker-registry", packages="docker-registry")
        self.folder = folder
        self.user, self.password = user, password
        self.ca: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self.address = f"127.0.0.1:{free_port()}"
        self.url = f"{'https' if tls else 'http'}://{self.address}"
        self.base = f"{self.address}/{REPOSITORY}:{suite()}"
        folder.mkdir(parents=True, exist_ok=True)
        http: dict[str, Any] = {"addr": self.address, "secret": "the same after a restart"}
        settings: dict[str, Any] = {
            "version": 0.1,
            "log": {"accesslog": {"disabled": False}},
            "storage": {"filesystem": {"rootdirectory": str(folder / "data")}, "delete": {"enabled": True}},
            "http": http,
        }
        if user:
            require("htpasswd", packages="apache2-utils")
            made = subprocess.run(["htpasswd", "-Bbn", user, password], check=True, capture_output=True, timeout=120)
            (folder / "htpasswd").write_bytes(made.stdout)
            settings["auth"] = {"htpasswd": {"realm": "mldeploy tests", "path": str(folder / "htpasswd")}}
        if tls:
            http["tls"] = self._make_certificate()
        if base:
            # Blobs are never written to once they are there, so that links to them will do.
            shutil.copytree(base_store() / "data", folder / "data", copy_function=_link_blob)
        (folder / "config.yml").write_text(json.dumps(settings))

    def start(self) -> None:
        with (self.folder / "log").open("ab") as log:
            command = ["docker-registry", "serve", str(self.folder / "config.yml")]
            environment = {**os.environ, "OTEL_TRACES_EXPORTER": "none"}
            self._process = subprocess.Popen(
                command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=environment, start_new_session=True
            )
        wait_until(self._answers, seconds=60, what=f"an answer of the registry {self.address}")

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def __enter__(self) -> RegistryServer:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def log(self) -> str:
        """What it has logged: also each request, in Apache's format."""
        return (self.folder / "log").read_text()

    def _end(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait(10)
            self._process = None

    def _answers(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            raise RuntimeError(f"the registry did not start:\n{self.log()[-2000:]}")
        host, port = self.address.split(":")
        with socket.socket() as tried:
            tried.settimeout(2)
            return tried.connect_ex((host, int(port))) == 0

    def _make_certificate(self) -> dict[str, str]:
        import trustme

        authority = trustme.CA()
        certificate = authority.issue_cert("127.0.0.1", "localhost")
        self.ca = self.folder / "ca.pem"
        authority.cert_pem.write_to_path(self.ca)
        certificate.private_key_pem.write_to_path(self.folder / "key.pem")
        for number, blob in enumerate(certificate.cert_chain_pems):
            blob.write_to_path(self.folder / "chain.pem", append=number > 0)
        return {"certificate": str(self.folder / "chain.pem"), "key": str(self.folder / "key.pem")}


def _link_blob(source: str, target: str) -> str:
    if os.path.basename(source) == "data":
        try:
            os.link(source, target)
            return target
        except OSError:  # another file system
            pass
    return shutil.copy2(source, target)
