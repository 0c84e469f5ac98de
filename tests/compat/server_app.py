"""What the fixtures of azureml-inference-server-http's tests are, with our server: no socket, everything else real."""

from __future__ import annotations

import json
import os
import sys
import types
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from http import HTTPStatus
from pathlib import Path
from typing import Any, TypeVar

import pytest
import werkzeug.test
from werkzeug.datastructures import Headers
from werkzeug.wrappers import Request as WerkzeugRequest

from mldeploy_jupyter.serving.ipc.failure import ContractError
from mldeploy_jupyter.serving.scoring.flask_scorer import FlaskScorer
from mldeploy_jupyter.serving.scoring.scorer import Scorer
from mldeploy_jupyter.serving.scoring.script import inspect_script, load_script
from mldeploy_jupyter.serving.settings import Settings
from mldeploy_jupyter.serving.worker.app import MAX_ID
from tests.fuzz.wire import Bench

F = TypeVar("F", bound=Callable[..., Any])


def data_path(*parts: str) -> str:
    """A file of the suite's."""
    return str(Path(os.environ["MLDEPLOY_COMPAT_DATA"]).joinpath(*parts))


class _Stub(types.ModuleType):
    """A module of v1's that is not part of what scripts and clients see: everything in it is a name without meaning."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (), {"_builder_classes": ()})


def _stub(name: str, **known: Any) -> None:
    module = _Stub(f"azureml_inference_server_http.{name}")
    module.__path__ = []
    module.__dict__.update(known)
    sys.modules[module.__name__] = module


for _name in ("server", "server.config", "server.swagger", "server.utils", "server.appinsights_client", "constants"):
    _stub(_name)
_stub("server.routes", HEADER_LIMIT=MAX_ID)
_stub("server.user_script", UserScriptError=ContractError)
sys.modules["inference_schema._constants"] = types.ModuleType("inference_schema._constants")
sys.modules["inference_schema._constants"].ALL_SUPPORTED_VERSIONS = ["2.0", "3.0", "3.1"]  # type: ignore[attr-defined]


class LastRun:
    """The arguments of the last call of `run()`."""

    def __init__(self, arguments: dict[str, Any]) -> None:
        self.input = arguments


class TestingApp:
    """`app` of the suite: takes a `run()` and serves it; `config` are the settings that a test changes."""

    __test__ = False

    def __init__(self, config: Any) -> None:
        self.config = config
        self.last_run: LastRun | None = None
        self.azml_blueprint = self.user_script = self
        self.app_root = ""
        self._init: Callable[[], Any] = lambda: None
        self.set_user_run(lambda data: None)

    def set_user_init(self, function: F) -> F:
        self._init = function
        return function

    def set_user_run(self, function: F) -> F:
        module = types.ModuleType("main")
        module.__dict__.update(init=self._init, run=function)
        self._serve(inspect_script(module))
        return function

    def setup(self) -> None:
        """Loads the script of `user_script`, which a test has replaced, or `main.py` of the first folder of imports."""
        given = self.user_script if isinstance(self.user_script, TestingUserScript) else None
        path = Path(data_path("user_scripts", given.name)) if given else Path(sys.path[0]) / "main.py"
        source = Path(self.config.app_root) / "mock_source_dir"
        if source.is_dir():
            sys.path.insert(0, str(source))
        script = load_script(Settings(app_root=str(path.parent), entry_script=path.name))
        script.init()
        self._serve(script)

    def regenerate_swagger(self, folder: Path) -> None:
        self.app_root = str(folder)

    def test_client(self) -> TestingClient:
        return TestingClient(self)

    def _serve(self, script: Any) -> None:
        def run(**arguments: Any) -> Any:
            current = {
                name: getattr(value, "_get_current_object", lambda value=value: value)()
                for name, value in arguments.items()
            }
            self.last_run = LastRun(current)
            return script.run(**arguments)

        # The suite asks whether a raw request is Flask's.
        self.scorer = (FlaskScorer if script.mode == "raw" else Scorer)(replace(script, run=run))

    def __call__(self, environ: dict[str, Any], start_response: Any) -> list[bytes]:
        """One request over a connection of its own, as a WSGI application."""
        cors = self.config.cors_origins
        bench = Bench(
            max_body_bytes=1 << 20,
            allowed_hosts=["localhost"],
            app_root=self.app_root,
            cors_origins=[origin.strip() for origin in cors.split(",")] if cors else [],
        )
        bench.app.scorer = bench.script_thread.scorer = self.scorer
        bench.app.set_phase("ready")
        bench.feed(_wire(environ, self.scorer.script.mode))
        bench.finish()
        head, _, body = bytes(bench.socket.sent).partition(b"\r\n\r\n")
        line, *fields = head.decode("latin-1").split("\r\n")
        bench.end()
        code = int(line.split()[1])
        with suppress(ValueError):
            line = f"HTTP/1.1 {code} {HTTPStatus(code).phrase}"
        start_response(line.partition(" ")[2], [tuple(field.split(": ", 1)) for field in fields])
        return [body]


def _wire(environ: dict[str, Any], mode: str) -> bytes:
    request = WerkzeugRequest(environ)
    method, body, target = request.method, request.get_data(), request.full_path.rstrip("?")
    headers = Headers(request.headers)
    if method == "GET" and request.path == "/score" and mode != "raw":
        method, target = "POST", "/score"
        body = json.dumps({name: _value(values) for name, values in request.args.lists()}).encode()
        headers["Content-Type"] = "application/json"
    headers["Content-Length"] = str(len(body))
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers if value)]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def _value(values: list[str]) -> Any:
    """What a query has for one name: JSON or text, a list when it is there several times."""
    found = []
    for value in values:
        try:
            found.append(json.loads(value))
        except ValueError:
            found.append(value)
    return found if len(found) > 1 else found[0]


class TestingUserScript:
    __test__ = False

    def __init__(self, name: str = "empty.py") -> None:
        self.name = name


class TestingClient(werkzeug.test.Client):
    """`client` of the suite."""

    __test__ = False

    def get_health(self, **more: Any) -> Any:
        return self.get("/", **more)

    def get_score(self, params: dict[str, Any] | None = None, **more: Any) -> Any:
        return self.get("/score", query_string=params or {}, **more)

    def post_score(self, json: Any = None, **more: Any) -> Any:
        return self.post("/score", **more, **({} if json is None else {"json": json}))

    def options_score(self, **more: Any) -> Any:
        return self.options("/score", **more)

    def score(self, method: str, input_data: Any = None, **more: Any) -> Any:
        if method == "GET":
            return self.get_score(input_data, **more)
        if method == "POST":
            return self.post_score(input_data, **more)
        return self.open("/score", method=method, **more)

    def get_swagger(self, version: Any = None) -> Any:
        return self.get("/swagger.json", query_string={"version": version} if version else {})


@pytest.fixture
def config(tmp_path: Path) -> Iterator[Any]:
    yield types.SimpleNamespace(cors_origins="", scoring_timeout=None, app_root=str(tmp_path), service_path_prefix="")


@pytest.fixture
def app(config: Any) -> TestingApp:
    return TestingApp(config)


@pytest.fixture
def client(app: TestingApp) -> TestingClient:
    return app.test_client()


@pytest.fixture
def app_cors(config: Any) -> TestingApp:
    config.cors_origins = "www.microsoft.com,  www.bing.com"
    return TestingApp(config)


@pytest.fixture
def app_appinsights() -> None:
    pytest.fail("Application Insights is not offered")
