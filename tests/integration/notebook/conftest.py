"""A real kernel for each test, in a folder of its own, and the services it leaves are ended."""

from __future__ import annotations

import os
import signal
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from jupyter_client.blocking import BlockingKernelClient
from jupyter_client.manager import KernelManager

from tests.polling import wait_until

# The model is plain data: the tests are of the notebook, and a library's import would only cost time.
SCRIPT = """\
import json, os

def init():
    global factor
    with open(os.path.join(os.environ["AZUREML_MODEL_DIR"], "factor.json")) as file:
        factor = json.load(file)["factor"]

def run(data):
    return {"answer": factor * json.loads(data)["value"]}
"""


@dataclass
class Ran:
    """What one cell gave back: streams joined, displays as text, the error's lines."""

    status: str = ""
    stream: str = ""
    displays: dict[str, list[str]] = field(default_factory=dict)  # by display id, oldest first
    html: list[str] = field(default_factory=list)
    result: str = ""
    number: int = 0  # the prompt number that the front end shows
    error: str = ""
    seconds: float = 0.0


class Kernel:
    """A kernel in its own process group, asked as a front end asks it."""

    def __init__(self, folder: Path, connection_file: str = "") -> None:
        """Starts a kernel, or takes the one that a Jupyter server has started."""
        self.manager = KernelManager(kernel_name="python3")
        if connection_file:
            self.client = BlockingKernelClient(connection_file=connection_file)
            self.client.load_connection_file()
        else:
            self.manager.start_kernel(cwd=str(folder))
            self.client = self.manager.client()
        self.client.hb_channel.time_to_dead = 60.0  # a second, else: a busy machine's kernel would be called dead
        self.client.start_channels()
        self.client.wait_for_ready(timeout=120)

    @property
    def pid(self) -> int:
        return int(self.manager.provisioner.pid)  # type: ignore[union-attr]

    def run(
        self,
        code: str,
        *,
        timeout: float = 120,
        on_output: Callable[[Ran], Any] = lambda ran: None,
        store_history: bool = True,
    ) -> Ran:
        ran = Ran()

        def hook(message: dict[str, Any]) -> None:
            kind, content = message["msg_type"], message["content"]
            if kind == "stream":
                ran.stream += content["text"]
            elif kind in ("display_data", "update_display_data"):
                display = content.get("transient", {}).get("display_id", "")
                ran.displays.setdefault(display, []).append(content["data"].get("text/plain", ""))
                ran.html.append(content["data"].get("text/html", ""))
            elif kind == "execute_result":
                ran.result = content["data"].get("text/plain", "")
                ran.html.append(content["data"].get("text/html", ""))
            elif kind == "execute_input":
                ran.number = content["execution_count"]
            elif kind == "error":
                ran.error = "\n".join(content["traceback"])
            on_output(ran)

        began = time.monotonic()
        code = textwrap.dedent(code)
        reply = self.client.execute_interactive(
            code, output_hook=hook, timeout=timeout, allow_stdin=True, store_history=store_history
        )
        ran.seconds = time.monotonic() - began
        ran.status = reply["content"]["status"]
        return ran

    def ok(self, code: str, **options: Any) -> Ran:
        ran = self.run(code, **options)
        assert ran.status == "ok", ran.error or ran.stream
        return ran

    def ask(self, code: str, cursor: int | None = None) -> dict[str, Any]:
        """Completion as a front end asks for it."""
        message = self.client.complete(code, cursor)
        while True:
            reply = self.client.get_shell_msg(timeout=60)
            if reply["parent_header"].get("msg_id") == message:
                return dict(reply["content"])

    def inspect(self, code: str) -> str:
        message = self.client.inspect(code)
        while True:
            reply = self.client.get_shell_msg(timeout=60)
            if reply["parent_header"].get("msg_id") == message:
                return str(reply["content"]["data"].get("text/plain", ""))

    def kill_group(self) -> None:
        """SIGKILL to the kernel's whole process group, as a Jupyter server's host does when it dies."""
        group = os.getpgid(self.pid)
        assert group != os.getpgid(0)
        os.killpg(group, signal.SIGKILL)
        wait_until(lambda: not _alive(self.pid, self.manager))

    def close(self) -> None:
        self.client.stop_channels()
        if not self.manager.has_kernel:
            return
        with suppress(ProcessLookupError, RuntimeError):
            self.manager.shutdown_kernel(now=True)


def _alive(pid: int, manager: KernelManager) -> bool:
    process = getattr(manager.provisioner, "process", None)
    return process is not None and process.poll() is None


@pytest.fixture
def start(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], Kernel]]:
    """Starts kernels in the test's folder; ends them and every service of its workspace afterwards."""
    kernels: list[Kernel] = []
    monkeypatch.setenv("PYTHONWARNINGS", "default")

    def make() -> Kernel:
        kernels.append(Kernel(folder))
        return kernels[-1]

    yield make
    for kernel in kernels:
        kernel.close()
    end_services(folder)


def end_services(folder: Path) -> None:
    from mldeploy_jupyter.core.workspace import folder as workspace

    found = workspace.find_workspace(folder, environ={})
    if found is None:
        return
    from mldeploy_jupyter.api.webservices import Webservice
    from mldeploy_jupyter.api.workspace import Workspace
    from mldeploy_jupyter.core.errors import DeploymentInProgress

    for service in Webservice.list(Workspace.get(path=str(folder))):
        service.cancel()

        def deleted(service: Any = service) -> bool:
            try:
                service.delete()
            except DeploymentInProgress:
                return False
            return True

        wait_until(deleted, 60)


@pytest.fixture
def kernel(start: Callable[[], Kernel]) -> Kernel:
    """A kernel with the magics loaded and a model in a file."""
    kernel = start()
    kernel.ok("%load_ext mldeploy_jupyter")
    (Path("factor.json")).write_text('{"factor": 3}')
    return kernel


@pytest.fixture
def prepared(kernel: Kernel) -> Kernel:
    """The same with the model registered and the script written."""
    kernel.ok("%register factor factor.json")
    kernel.ok(f"%%entry_script\n{SCRIPT}")
    return kernel
