"""A real Docker engine: the one that answers on this machine, else one that the tests start, as root, and end.

An engine of the tests has its own socket, data, containerd and bridge, so that it lives beside any other one and can be
restarted or killed. It leaves the machine's firewall alone except for the rules of its bridge.
"""

from __future__ import annotations

import ipaddress
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from tests.engines.missing import engine_missing, require
from tests.polling import wait_until

if TYPE_CHECKING:
    from docker import DockerClient

PACKAGES = "docker.io containerd runc iptables iproute2"
FOLDER_PREFIX = "mldeploy-docker-"  # then the process that made it
DEFAULT_HOST = "unix:///var/run/docker.sock"


class RunningEngine:
    """An engine that answers at `host`."""

    def __init__(self, host: str) -> None:
        self.host = host

    def client(self, timeout: float = 60) -> DockerClient:
        """A new client; the caller closes it."""
        import docker

        return docker.DockerClient(base_url=self.host, timeout=timeout)  # type: ignore[arg-type]

    def answers(self) -> bool:
        """Within two seconds. Asked by hand: the SDK leaves its socket open when there is nobody at the other end."""
        kind, _, place = self.host.partition("://")
        host, _, port = place.rpartition(":")
        family, address = (socket.AF_UNIX, place) if kind == "unix" else (socket.AF_INET, (host, int(port or 0)))
        with socket.socket(family) as connection:
            connection.settimeout(2)
            try:
                connection.connect(address)
                connection.sendall(b"GET /_ping HTTP/1.0\r\nHost: docker\r\n\r\n")
                return b" 200 " in connection.recv(64)
            except OSError:
                return False

    def remove_tags(self, registry: str) -> None:
        """Removes what was pulled from a registry, or tagged for it: `127.0.0.1:PORT`."""
        client = self.client()
        for image in client.images.list():
            for tag in image.tags:
                if tag.startswith(f"{registry}/"):
                    client.images.remove(tag, force=True)
        client.close()


class OwnEngine(RunningEngine):
    """An engine of the tests, from the beginning of a `with` block to its end."""

    def __init__(self) -> None:
        require("dockerd", "containerd", "runc", "iptables", "ip", packages=PACKAGES)
        if os.geteuid() != 0:
            engine_missing(
                "no Docker engine answers, and only root can start one: start Docker, or run the tests as root"
            )
        _remove_stale_engines()
        self.folder = Path(tempfile.mkdtemp(prefix=f"{FOLDER_PREFIX}{os.getpid()}-"))
        self.folder.chmod(0o755)  # like /run: other users may see the socket, and its group, and not open it
        super().__init__(f"unix://{self.folder}/docker.sock")
        self._process: subprocess.Popen[bytes] | None = None
        self.bridge = f"mld{os.getpid()}"
        self._network = None

    def start(self) -> None:
        if self._network is None:
            self._make_bridge()
        folder = self.folder
        command = ["dockerd", "--host", self.host, "--data-root", folder / "data", "--exec-root", folder / "exec"]
        command += ["--pidfile", folder / "docker.pid", "--bridge", self.bridge, "--iptables=false", "--ip-masq=false"]
        command += ["--containerd-namespace", self.bridge, "--containerd-plugins-namespace", f"{self.bridge}-plugins"]
        with (folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True
            )
        wait_until(self._has_started, seconds=120, what="an answer of the Docker engine")

    def stop(self) -> None:
        """As a restart of the service does: containers are told to end, and those that restart always come back."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """With its containerd, which goes with it; containers run on until the next start."""
        self._end(signal.SIGKILL)
        for file in self.folder.glob("exec/containerd/containerd.pid"):
            _kill(int(file.read_text().strip() or 0))
            file.unlink()  # where nobody reaps the process, the next start would take it for alive

    def restart(self) -> None:
        self.stop()
        self.start()

    def log(self) -> str:
        return (self.folder / "log").read_text()

    def __enter__(self) -> OwnEngine:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends the engine and its containers; nothing of it is left."""
        if self._process is not None and self.answers():
            client = self.client()
            for container in client.containers.list(all=True, ignore_removed=True):
                container.remove(force=True, v=True)
            client.close()
        self.stop()
        _unmount_below(self.folder)
        if self._network is not None:
            for rule in self._rules():
                subprocess.run(["iptables", "-w", *rule("-D")], capture_output=True)
            subprocess.run(["ip", "link", "delete", self.bridge], capture_output=True)
            self._network = None
        shutil.rmtree(self.folder, ignore_errors=True)

    def _end(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            try:
                self._process.wait(60)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait(10)
            self._process = None

    def _has_started(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            raise RuntimeError(f"the Docker engine did not start:\n{self.log()[-3000:]}")
        return self.answers()

    def _make_bridge(self) -> None:
        number = 0
        while Path("/sys/class/net", self.bridge).exists():
            number += 1
            self.bridge = f"mld{os.getpid()}-{number}"
        taken = subprocess.run(["ip", "-4", "route"], capture_output=True, text=True, check=True).stdout
        self._network = next(
            network
            for network in ipaddress.ip_network("10.201.0.0/16").subnets(new_prefix=24)
            if str(network.network_address) not in taken
        )
        address = f"{self._network[1]}/24"
        for arguments in (
            ["link", "add", "name", self.bridge, "type", "bridge"],
            ["address", "add", address, "dev", self.bridge],
            ["link", "set", self.bridge, "up"],
        ):
            subprocess.run(["ip", *arguments], check=True, capture_output=True)
        for rule in self._rules():
            subprocess.run(["iptables", "-w", *rule("-I")], check=True, capture_output=True)

    def _rules(self):  # type: ignore[no-untyped-def]
        """What lets containers reach the network: the engine itself would rewrite the chains of another one."""
        source, bridge = str(self._network), self.bridge
        return (
            lambda verb: ["-t", "nat", verb, "POSTROUTING", "-s", source, "!", "-o", bridge, "-j", "MASQUERADE"],
            lambda verb: [verb, "FORWARD", "-i", bridge, "-j", "ACCEPT"],
            lambda verb: [verb, "FORWARD", "-o", bridge, "-j", "ACCEPT"],
        )


def find_engine() -> RunningEngine | None:
    """The engine that a user of this machine would get, if it answers within two seconds."""
    found = RunningEngine(os.environ.get("DOCKER_HOST") or DEFAULT_HOST)
    return found if found.answers() else None


def _remove_stale_engines() -> None:
    """Ends the engines of test runs that were killed, with their containers and bridges."""
    for folder in Path(tempfile.gettempdir()).glob(f"{FOLDER_PREFIX}*-*"):
        owner = folder.name.removeprefix(FOLDER_PREFIX).partition("-")[0]
        if owner.isdigit() and not Path("/proc", owner).exists():
            for process in _processes_of(folder):
                _kill(process)
            _unmount_below(folder)
            shutil.rmtree(folder, ignore_errors=True)
    for entry in Path("/sys/class/net").glob("mld[0-9]*"):
        found = re.match(r"mld(\d+)", entry.name)
        if found and not Path("/proc", found[1]).exists():
            subprocess.run(["ip", "link", "delete", entry.name], capture_output=True)


def _processes_of(folder: Path) -> list[int]:
    """An engine, its containerd and its containers' supervisors: all have the folder in their command line."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            command = (entry / "cmdline").read_bytes()
        except OSError:
            continue
        if f"{folder}/".encode() in command:
            found.append(int(entry.name))
    return found


def _unmount_below(folder: Path) -> None:
    for line in reversed(Path("/proc/self/mounts").read_text().splitlines()):
        place = line.split()[1]
        if place.startswith(f"{folder}/"):
            subprocess.run(["umount", "-l", place], capture_output=True)


def _kill(pid: int) -> None:
    if pid:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
