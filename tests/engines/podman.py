"""Podman's service, which answers Docker's API on a socket of its own; storage and settings are those of the tests."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.engines.docker import RunningEngine
from tests.engines.missing import engine_missing, require
from tests.polling import wait_until


class PodmanEngine(RunningEngine):
    """A service from the beginning of a `with` block to its end, with empty storage."""

    def __init__(self) -> None:
        require("podman", packages="podman")
        if os.geteuid() != 0:
            engine_missing("the tests start Podman as root")
        self.folder = Path(tempfile.mkdtemp(prefix="mldeploy-podman-"))
        super().__init__(f"unix://{self.folder}/podman.sock")
        self._process: subprocess.Popen[bytes] | None = None
        # Podman raises these limits for each container, which a machine may not allow even root.
        files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        files = 4096 if files == resource.RLIM_INFINITY else min(files, 4096)
        (self.folder / "containers.conf").write_text(
            f'[containers]\ndefault_ulimits = ["nofile={files}:{files}", "nproc=4096:4096"]\n'
            '[engine]\ncgroup_manager = "cgroupfs"\nevents_logger = "file"\n'
        )

    def run(self, *arguments: str) -> str:
        """What the program `podman` prints, over the same storage."""
        command = [*self._command(), *arguments]
        return subprocess.run(
            command, env=self._environment(), check=True, capture_output=True, text=True, timeout=120
        ).stdout

    def start(self) -> None:
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*self._command(), "system", "service", "--time", "0", self.host],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                env=self._environment(),
                start_new_session=True,
            )
        wait_until(self._has_started, seconds=120, what="an answer of Podman's service")

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(60)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait(10)
            self._process = None

    def log(self) -> str:
        return (self.folder / "log").read_text()

    def __enter__(self) -> PodmanEngine:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends the service and its containers; nothing of it is left."""
        for arguments in (["rm", "--all", "--force", "--time", "2"], ["volume", "rm", "--all", "--force"]):
            subprocess.run([*self._command(), *arguments], env=self._environment(), capture_output=True, timeout=120)
        self.stop()
        for line in reversed(Path("/proc/self/mounts").read_text().splitlines()):
            place = line.split()[1]
            if place.startswith(f"{self.folder}/"):
                subprocess.run(["umount", "-l", place], capture_output=True)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _command(self) -> list[str]:
        return ["podman", "--root", str(self.folder / "storage"), "--runroot", str(self.folder / "run")]

    def _environment(self) -> dict[str, str]:
        return {**os.environ, "CONTAINERS_CONF": str(self.folder / "containers.conf"), "TMPDIR": str(self.folder)}

    def _has_started(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            raise RuntimeError(f"Podman's service did not start:\n{self.log()[-3000:]}")
        return self.answers()
