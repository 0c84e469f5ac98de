"""A JupyterLab server in a folder of its own, and a browser that looks at it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from tests.polling import wait_until
from tests.ports import free_port

TOKEN = "test"

# Chromium in a container: no sandbox for root, no graphics card, and nothing that calls home.
CHROMIUM_FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
]  # fmt: skip

SETTINGS = {
    "@jupyterlab/apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
    "@jupyterlab/docmanager-extension/plugin": {"autosave": False},
}


ROOT = Path(__file__).parents[2]

PAGE_CONFIG = {"buildCheck": False, "buildAvailable": False}  # else every page starts Node on the server


class Lab:
    """A running JupyterLab. `python` is the interpreter whose JupyterLab and kernel are used.

    `application` is "notebook" for Notebook 7. The extension is that of this checkout, with `installed` the one that is
    installed beside that interpreter.
    """

    def __init__(
        self,
        folder: Path,
        python: str = sys.executable,
        *arguments: str,
        application: str = "jupyterlab",
        installed: bool = False,
    ) -> None:
        self.folder = folder / "notebooks"
        self.folder.mkdir(parents=True)
        self.port = free_port()
        self._log = folder / "lab.log"
        private = {name: folder / name.lower() for name in ("CONFIG", "DATA", "RUNTIME")}
        environment = {
            **os.environ,
            **{f"JUPYTER_{name}_DIR": str(path) for name, path in private.items()},
            "JUPYTERLAB_SETTINGS_DIR": str(folder / "settings"),
            "JUPYTERLAB_WORKSPACES_DIR": str(folder / "workspaces"),
            "IPYTHONDIR": str(folder / "ipython"),
            "JUPYTER_PATH": str(folder / "checkout"),  # before the environment, which may have an older copy
            "PATH": f"{Path(python).parent}{os.pathsep}{os.environ['PATH']}",
        }
        page_config = folder / "config" / "labconfig" / "page_config.json"
        page_config.parent.mkdir(parents=True)
        page_config.write_text(json.dumps(PAGE_CONFIG))
        if not installed:
            install_extension(folder / "checkout", private["CONFIG"])
        for plugin, values in SETTINGS.items():
            path = folder / "settings" / f"{plugin}.jupyterlab-settings"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(values))
        self._environment = environment
        self._words = [
            python, "-m", application, "--no-browser", "--allow-root", "--ip=127.0.0.1",
            f"--port={self.port}", "--ServerApp.port_retries=0", f"--IdentityProvider.token={TOKEN}",
            f"--{'LabApp' if application == 'jupyterlab' else 'JupyterNotebookApp'}.expose_app_in_browser=True",
            f"--ServerApp.root_dir={self.folder}", *arguments,
        ]  # fmt: skip
        self.start()

    def start(self) -> None:
        """Starts the server, again on the same port after `close`."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._words, stdout=log, stderr=log, env=self._environment, cwd=self.folder, start_new_session=True
            )
        try:
            wait_until(self._answers, 90)
        except BaseException:
            self.close()
            raise

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        return self._log.read_text("utf-8", "replace")

    def api(self, path: str) -> Any:
        """The server's answer to GET /api/<path>."""
        with urlopen(f"{self.url}/api/{path}?token={TOKEN}", timeout=60) as answer:
            return json.load(answer)

    def end_kernels(self) -> None:
        """Ends every kernel."""
        for kernel in self.api("kernels"):
            address = f"{self.url}/api/kernels/{kernel['id']}"
            asked = Request(address, method="DELETE", headers={"Authorization": f"token {TOKEN}"})
            urlopen(asked, timeout=60).close()

    def close(self) -> None:
        """Ends the server and its kernels."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGTERM)  # its own group, made by start_new_session
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(20)

    def _answers(self) -> bool:
        assert self._process.poll() is None, self.log
        try:
            with urlopen(f"{self.url}/api/status?token={TOKEN}", timeout=5):
                return True
        except OSError:
            return False


def install_extension(data: Path, config: Path) -> None:
    """Puts the extension of this checkout where the server finds it, whatever is installed."""
    place = data / "labextensions" / "mldeploy-jupyter"
    place.parent.mkdir(parents=True)
    place.symlink_to(ROOT / "mldeploy_jupyter" / "labextension")
    folder = "jupyter_server_config.d"
    shutil.copytree(ROOT / "jupyter-config" / folder, config / folder)


def find_chromium() -> str | None:
    """The browser's program: `MLDEPLOY_CHROMIUM`, or chromium on the PATH."""
    return os.environ.get("MLDEPLOY_CHROMIUM") or shutil.which("chromium")


@contextmanager
def open_browser(profile: Path, **options: Any) -> Iterator[Any]:
    """A browser's context with a new profile. `options` are Playwright's, such as `color_scheme`."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            str(profile),
            executable_path=find_chromium(),
            headless=True,
            args=CHROMIUM_FLAGS,
            **{"viewport": {"width": 1280, "height": 1000}, **options},
        )
        context.set_default_timeout(60_000)  # as `SECONDS` of a notebook: it only ends a hang
        try:
            yield context
        finally:
            context.close()
