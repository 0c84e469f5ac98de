"""The extension on a real JupyterHub, below a base URL: each user finds their own services, and nobody else's.

Needs `pip install jupyterhub` and `npm install -g configurable-http-proxy`, or `MLDEPLOY_PROXY` with the proxy's path.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from tests.browser.lab import install_extension
from tests.browser.lab_page import SCRIPT, LabPage
from tests.integration.notebook.conftest import end_services
from tests.polling import wait_until
from tests.ports import free_port

PROXY = os.environ.get("MLDEPLOY_PROXY") or shutil.which("configurable-http-proxy")
ADMIN_TOKEN = "0123456789abcdef0123456789abcdef"

# In CI (`CI=true`) they are not skipped, but fail.
MAY_SKIP = os.environ.get("CI", "").lower() != "true"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(MAY_SKIP and importlib.util.find_spec("jupyterhub") is None, reason="pip install jupyterhub"),
    pytest.mark.skipif(MAY_SKIP and PROXY is None, reason="npm install -g configurable-http-proxy"),
]

CONFIG = """\
c.JupyterHub.bind_url = "http://127.0.0.1:{port}/jupyter/"
c.JupyterHub.hub_port = {hub_port}
c.ConfigurableHTTPProxy.api_url = "http://127.0.0.1:{proxy_port}"
c.ConfigurableHTTPProxy.command = {proxy!r}
c.ConfigurableHTTPProxy.pid_file = {folder!r} + "/proxy.pid"
c.JupyterHub.db_url = "sqlite:///" + {folder!r} + "/hub.sqlite"
c.JupyterHub.cookie_secret_file = {folder!r} + "/cookie_secret"
c.JupyterHub.authenticator_class = "dummy"
c.Authenticator.allow_all = True
c.JupyterHub.spawner_class = "simple"  # no accounts of the system: each user has a home of their own
c.SimpleLocalProcessSpawner.home_dir_template = {folder!r} + "/home/{{username}}"
c.Spawner.cmd = [{python!r}, "-m", "jupyterhub.singleuser"]
c.Spawner.args = ["--allow-root", "--LabApp.expose_app_in_browser=True"]
c.Spawner.environment = {environment!r}
c.Spawner.start_timeout = c.Spawner.http_timeout = 120
c.JupyterHub.services = [{{"name": "tests", "api_token": {token!r}}}]
c.JupyterHub.load_roles = [{{
    "name": "tests", "services": ["tests"], "scopes": ["admin:users", "admin:servers", "tokens", "access:servers"],
}}]
"""


class Hub:
    """A running JupyterHub."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.url = f"http://127.0.0.1:{(port := free_port())}/jupyter"
        install_extension(folder / "data", folder / "config")
        environment = {
            "JUPYTER_PATH": str(folder / "data"),
            "JUPYTER_CONFIG_PATH": str(folder / "config"),
            "MLDEPLOY_CACHE": os.environ["MLDEPLOY_CACHE"],
        }
        config = folder / "jupyterhub_config.py"
        config.write_text(
            CONFIG.format(
                port=port, hub_port=free_port(), proxy_port=free_port(), folder=str(folder), python=sys.executable,
                proxy=[PROXY], environment=environment, token=ADMIN_TOKEN,
            )
        )  # fmt: skip
        self._log = folder / "hub.log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "jupyterhub", "-f", str(config)],
                stdout=log, stderr=log, cwd=folder, start_new_session=True,
                env={**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"},
            )  # fmt: skip
        wait_until(lambda: isinstance(self.ask("GET", "hub/api/"), dict), 120, lambda: self.log)

    @property
    def log(self) -> str:
        return self._log.read_text("utf-8", "replace")

    def ask(self, method: str, path: str, token: str = ADMIN_TOKEN) -> Any:
        """The answer as JSON, or the status of a refusal; None while nothing answers."""
        data = b"" if method == "POST" else None
        request = Request(f"{self.url}/{path}", data, {"Authorization": f"token {token}"}, method=method)
        try:
            with urlopen(request, timeout=60) as answer:
                return json.loads(answer.read() or b"{}")
        except HTTPError as error:
            return error.code
        except OSError:
            assert self._process.poll() is None, self.log
            return None

    def add_user(self, name: str) -> str:
        """Makes a user with a running server. Returns a token of theirs."""
        self.ask("POST", f"hub/api/users/{name}")
        self.ask("POST", f"hub/api/users/{name}/server")

        def is_ready() -> bool:
            user = self.ask("GET", f"hub/api/users/{name}")
            return isinstance(user, dict) and any(server["ready"] for server in user["servers"].values())

        wait_until(is_ready, 120, lambda: self.log)
        return str(self.ask("POST", f"hub/api/users/{name}/tokens")["token"])

    def home(self, name: str) -> Path:
        return self.folder / "home" / name

    def deploy(self, user: str, service: str) -> None:
        """Makes a service in a terminal of this user."""
        home = self.home(user)
        (home / "score.py").write_text(SCRIPT, "utf-8")
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("XDG_", "MLDEPLOY_HOME"))}
        subprocess.run(
            [sys.executable, "-m", "mldeploy_jupyter.cli", "model", "deploy", service, "--entry-script", "score.py"],
            cwd=home, env={**kept, "HOME": str(home)}, check=True, capture_output=True, timeout=120,
        )  # fmt: skip

    def services(self, user: str, token: str) -> Any:
        answer = self.ask("GET", f"user/{user}/mldeploy/api/services?all=true", token)
        return [one["service"] for one in answer] if isinstance(answer, list) else answer

    def close(self) -> None:
        for name in ("ada", "bob"):
            self.ask("DELETE", f"hub/api/users/{name}/server")
            if self.home(name).is_dir():
                end_services(self.home(name))
        os.killpg(self._process.pid, signal.SIGTERM)
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(30)


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    hub = Hub(tmp_path_factory.mktemp("hub"))
    try:
        yield hub
    finally:
        hub.close()


@pytest.fixture(scope="module")
def tokens(hub: Hub) -> dict[str, str]:
    """Two users with a service each, and a token of each user."""
    made = {name: hub.add_user(name) for name in ("ada", "bob")}
    for name in made:
        hub.deploy(name, f"of-{name}")
    return made


def test_each_user_sees_their_own_services_only(hub: Hub, tokens: dict[str, str]) -> None:
    assert hub.services("ada", tokens["ada"]) == ["of-ada"]
    assert hub.services("bob", tokens["bob"]) == ["of-bob"]


def test_nobody_reaches_the_server_of_another(hub: Hub, tokens: dict[str, str]) -> None:
    assert hub.services("ada", tokens["bob"]) == 403
    assert hub.services("bob", tokens["ada"]) == 403
    assert hub.services("ada", "wrong") == 403


def test_the_sidebar_works_below_the_base_url(hub: Hub, tokens: dict[str, str], page: Any) -> None:
    url = hub.url.replace("127.0.0.1", "localhost")  # apart from the cookies of the other tests' servers
    page.goto(f"{url}/hub/login")
    page.fill("[name=username]", "ada")
    page.fill("[name=password]", "any")
    page.click("[type=submit]")
    page.wait_for_url("**/user/ada/**")
    page.goto(f"{url}/user/ada/lab?reset")
    shown = LabPage(hub, page).wait()  # type: ignore[arg-type]  only its page is asked
    shown.show_sidebar()
    shown.wait_for_row("of-ada", "Live")
    assert shown.row("of-bob").count() == 0
    shown.run("mldeploy:open-service", service="of-ada")
    shown.panel("of-ada").get_by_role("tab", name="Test").wait_for()
