"""Every failure has a named cause, in words, at the line of the cell. The exceptions are real ones."""

from __future__ import annotations

import linecache
import pickle
import signal
import sys
import types
import warnings
from datetime import UTC
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mldeploy_jupyter.core.diagnosis import Cause, ScriptInfo, explain
from mldeploy_jupyter.core.diagnosis.package_source import describe_adding, package_source
from mldeploy_jupyter.core.errors import DeploymentFailed
from mldeploy_jupyter.core.journal import cause_lines
from mldeploy_jupyter.core.records import ModelRecord
from mldeploy_jupyter.core.script.notebook_cells import CellRecord, script_digest
from mldeploy_jupyter.serving.ipc.failure import from_exception

ROOT = "/srv/bundle/app"
SCRIPT = f"{ROOT}/source/score.py"
SETTINGS: dict[str, Any] = {
    "service": "diabetes",
    "app_root": ROOT,
    "source_directory": "source",
    "entry_script": "source/score.py",
    "model_dir": f"{ROOT}/azureml-models/diabetes/3",
    "init_timeout": 30.0,
    "python": "/opt/env/bin/python",
}
MODEL = ModelRecord(
    "diabetes",
    3,
    files={"ridge.pkl": ["d", 10], "scaler.pkl": ["d", 10]},
    details={"libraries": {"scikit-learn": "1.2.0", "numpy": "1.26.4"}, "python": "3.11"},
)
PASS = "\n\ndef run(data):\n    return data\n"


@pytest.fixture(autouse=True)
def main_of_a_server(monkeypatch):
    """A worker's __main__, instead of the one of pytest."""
    monkeypatch.setitem(sys.modules, "__main__", types.ModuleType("__main__"))


def in_cell(text: str, **more: Any) -> ScriptInfo:
    source = "%%entry_script score.py\n" + text
    cell = CellRecord(script_digest(text), "score.py", source, 1, "c", "n.ipynb", 3, "2026-11-22T14:03:00.000Z", 2)
    return ScriptInfo("score.py", "source/score.py", text, cell, newest=2, **more)


def loaded(text: str, file: str = SCRIPT) -> dict[str, Any]:
    """Runs source text as if it were the file, so that tracebacks name it and show its lines."""
    linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
    namespace: dict[str, Any] = {"__name__": "entry", "__file__": file}
    exec(compile(text, file, "exec", dont_inherit=True), namespace)
    return namespace


def failure_of(text: str, stage: str = "init", **more: Any) -> dict[str, Any]:
    """The failure that the server would report, from running the script for real."""
    reached = "import"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            namespace = loaded(text)
            reached = "init"
            namespace["init"]()
            reached = "probe"
            namespace["run"]([1])
    except BaseException as error:
        assert reached == stage, f"failed in {reached}: {error!r}"
        return {**from_exception(error, stage), **more}
    raise AssertionError("the script did not fail")


def shown(cause: Cause) -> str:
    return "\n".join([f"[{cause.code}]", *cause_lines(cause.to_dict(), width=100)])


def case(text: str, stage: str = "init", models: tuple[Any, ...] = (MODEL,), script: Any = None, **more: Any) -> Cause:
    failure = failure_of(text, stage, **more)
    script = in_cell(text) if script is None else script
    return explain(failure, script=script, settings=SETTINGS, models=models, timezone=UTC)


def init(*lines: str) -> str:
    return "def init():\n" + "".join(f"    {line}\n" for line in lines) + PASS


def run(line: str) -> str:
    return f"def init():\n    pass\n\n\ndef run(data):\n    {line}\n"


def loading(data: bytes) -> str:
    return (
        f"import io, pickle\n\n\ndef init():\n    global model\n    model = pickle.load(io.BytesIO({data!r}))\n" + PASS
    )


MODEL_DIR = SETTINGS["model_dir"]
SERVER_MAIN = "Can't get attribute 'MyModel' on <module 'mldeploy_serving.worker' from '/x/worker.py'>"
NOTEBOOK_CLASS = b"\x80\x04\x8c\x08__main__\x8c\x07MyModel\x93)\x81."
ELSEWHERE = 'raise type({0!r}, ({1},), {{"__module__": {2!r}}})({3!r})'

RAISED = {
    "syntax error": (("def init():\n    x = (1\n" + PASS), "import", {}),
    "magic in the script": (("%pip install joblib\n" + init("pass")), "import", {}),
    "text that is not Python": (init("eval('1 +')"), "init", {}),
    "module with another distribution": (init("import cv2"), "init", {}),
    "sklearn missing": (
        init(ELSEWHERE.format("ModuleNotFoundError", "ModuleNotFoundError", "builtins", "No module named 'sklearn'")),
        "init",
        {},
    ),
    "module with its own name": ("import lightgbmm\n" + init("pass"), "import", {}),
    "model of a module of the user's": (loading(b"\x80\x04\x8c\x0asrc.models\x8c\x01R\x93."), "init", {}),
    "model written by dill": (loading(b"\x80\x04\x8c\x0b__builtin__\x8c\x04list\x93."), "init", {}),
    "training part of v1": ("import azureml.train\n" + init("pass"), "import", {}),
    "part of v1 whose reason the server gave": (
        init("raise ModuleNotFoundError('there is no azureml.data: no data sets', name='azureml.data')"),
        "init",
        {},
    ),
    "old part of scikit-learn": ("from sklearn.externals import six\n" + init("pass"), "import", {}),
    "relative import": ("from .helper import f\n" + init("pass"), "import", {}),
    "misspelled submodule": ("import sklearn.ensamble\n" + init("pass"), "import", {}),
    "submodule of a folder that packages share": (
        init("raise ModuleNotFoundError(\"No module named 'shared.part'\", name='shared.part')"),
        "init",
        {},
    ),
    "submodule of an older package": (
        "import sklearn.gone.deeper\n" + init("pass"),
        "import",
        {"versions": {"scikit-learn": "1.9.1"}},
    ),
    "sklearn.externals": ("from sklearn.externals import joblib\n" + init("pass"), "import", {}),
    "name that the script lacks": (init("print(scaler)"), "init", {}),
    "name of an import that is missing": (init("DataFrame()"), "init", {}),
    "name without global": ("def init():\n    model = 1\n\n\ndef run(data):\n    return model\n", "probe", {}),
    "name used too early": ("print(late)\nlate = 1\n" + init("pass"), "import", {}),
    "model file with a wrong name": (
        init(f"open('{MODEL_DIR}/model.pkl')"),
        "init",
        {"model_tree": ["diabetes/3/ridge.pkl"]},
    ),
    "model file in a wrong place": (init(f"open('{MODEL_DIR}/outputs/ridge.pkl')"), "init", {}),
    "model file looked for beside the notebook": (
        init("open('outputs/ridge.pkl')"),
        "init",
        {"model_tree": ["diabetes/3/ridge.pkl"]},
    ),
    "model file looked for beside the script": (
        init("import os; open(os.path.dirname(__file__) + '/ridge.pkl')"),
        "init",
        {"model_tree": ["diabetes/3/ridge.pkl"]},
    ),
    "file of a model that was not named": (
        init("open('iris.pkl')"),
        "init",
        {"model_tree": ["diabetes/3/ridge.pkl"], "other_models": {"iris": ["iris.pkl"]}},
    ),
    "no such model file at all": (init(f"open('{MODEL_DIR}/weights.bin')"), "init", {}),
    "a folder instead of the file": (
        init("raise IsADirectoryError(21, 'Is a directory', " + repr(MODEL_DIR + "/m") + ")"),
        "init",
        {},
    ),
    "no such model": (
        init("raise type('ModelNotFoundException', (Exception,), {})('no model named \"iris\"')"),
        "init",
        {},
    ),
    "the model folder itself": (
        init("raise IsADirectoryError(21, 'Is a directory', " + repr(MODEL_DIR) + ")"),
        "init",
        {"model_tree": ["diabetes/3/ridge.pkl"]},
    ),
    "a loader of the user's own": ("def load_config(c):\n    return c.gone\n" + init("load_config({})"), "init", {}),
    "file beside the notebook": (init("open('labels.txt')"), "init", {}),
    "file beside the script, shipped": (init("open('labels.txt')"), "init", {"source_tree": ["labels.txt"]}),
    "file beside the script, not shipped": (
        init("import os; open(os.path.dirname(__file__) + '/a/b.txt')"),
        "init",
        {},
    ),
    "file of the notebook's machine": (init("open('/home/ana/labels.txt')"), "init", {}),
    "empty model file": (loading(b""), "init", {}),
    "truncated model file": (loading(pickle.dumps(list(range(300)))[:40]), "init", {}),
    "Git LFS pointer": (loading(b"version https://git-lfs.github.com/spec/v1\n"), "init", {}),
    "not a pickle": (loading(b"<html>"), "init", {}),
    "broken zip": ("import io, zipfile\n" + init("zipfile.ZipFile(io.BytesIO(b'PK'))  # load"), "init", {}),
    "class of the notebook": (loading(NOTEBOOK_CLASS), "init", {}),
    "class of the script": ("class MyModel:\n    pass\n\n\n" + loading(NOTEBOOK_CLASS), "init", {}),
    "the body as a file": (run("""open('{"data": [1]}')"""), "probe", {}),
    "the body as data": (run("raise ValueError('DataFrame constructor not properly called!')"), "probe", {}),
    "the body as a file of pandas": (
        run("""raise FileNotFoundError('File [{"a": 1}] does not exist')"""),
        "probe",
        {},
    ),
    "a long body as a file": (run("""open('[' + '1, ' * 9000 + '1]')"""), "probe", {}),
    "class of the notebook, in a server that names itself": (
        init(f"raise AttributeError({SERVER_MAIN!r})"),
        "init",
        {},
    ),
    "newer pickle protocol": (loading(b"\x80\x09."), "init", {}),
    "moved module": (
        loading(b"\x80\x04\x8c\x17sklearn.ensemble.forest\x8c\x01R\x93."),
        "init",
        {"versions": {"scikit-learn": "1.9.1", "numpy": "1.26.4"}},
    ),
    "moved class": (loading(b"\x80\x04\x8c\x14sklearn.linear_model\x8c\x05Gone_\x93."), "init", {}),
    "tree of another version": (
        "import joblib\n"
        + init(
            ELSEWHERE.format(
                "ValueError", "ValueError", "builtins", "node array from the pickle has an incompatible dtype: ..."
            )
        ),
        "init",
        {"versions": {"scikit-learn": "1.9.1"}},
    ),
    "damaged bundle": (loading(b""), "init", {"damaged": ["azureml-models/diabetes/3/ridge.pkl"]}),
    "no memory": (init("x = bytearray(1 << 62)"), "init", {}),
    "exit in init": ("import sys\n" + init("sys.exit('no model')"), "init", {"code": "exited"}),
    "init raised": (init("", "config = {}", "coef = config['coef_']"), "init", {}),
    "init raised from another": (
        init("try:", "    {}['a']", "except KeyError as error:", "    raise RuntimeError('no a') from error"),
        "init",
        {},
    ),
    "import raised": ("x = 1 / 0\n" + init("pass"), "import", {}),
    "the sample failed": ("def init():\n    pass\n\n\ndef run(data):\n    return data.shape\n", "probe", {}),
    "a message with escapes": (init(r"raise ValueError('\x1b]0;title\x07a\nb \x1b[2J' + 'x' * 5000)"), "init", {}),
}


@pytest.mark.parametrize("name", RAISED)
def test_causes_of_exceptions_in_the_script(name, snapshot):
    text, stage, more = RAISED[name]
    try:
        compile(text, SCRIPT, "exec")
    except SyntaxError as error:
        cause = explain({**from_exception(error, "import")}, script=in_cell(text), settings=SETTINGS, timezone=UTC)
    else:
        cause = case(text, stage, **more)
    assert shown(cause) == snapshot


@pytest.mark.parametrize(
    "inference",
    [
        {},
        {"conda_file": "envs/conda.yml", "environment": {"python": "3.11"}},
        {"requirements_file": "requirements.txt", "environment": {"python": "3.11"}},
        {"environment": {"python": "3.11"}, "environment_definition": {"name": "vision"}},
        {"environment": {"interpreter": "/opt/conda/bin/python"}, "base_image": "registry.example/base:1"},
    ],
    ids=["the service's Python", "conda file", "requirements file", "environment in Python", "the base image"],
)
@pytest.mark.parametrize("module", ["cv2", "lightgbmm"])
def test_a_missing_module_goes_where_the_packages_come_from(inference, module, snapshot):
    text = init(f"import {module}")
    settings = {**SETTINGS, "packages": package_source(inference, SETTINGS["python"])}
    assert shown(explain(failure_of(text), script=in_cell(text), settings=settings, timezone=UTC)) == snapshot


def test_a_python_that_uv_made_installs_with_uv(tmp_path):
    for folder, installed in (("plain", ""), ("with_pip", "lib/python3.11/site-packages/pip"), ("system", "")):
        (tmp_path / folder / installed).mkdir(parents=True)
        if folder != "system":
            (tmp_path / folder / "pyvenv.cfg").touch()
    pythons = [str(tmp_path / folder / "bin" / "python") for folder in ("plain", "with_pip", "system")]
    lines = [describe_adding({"kind": "interpreter", "name": python}, "torch") for python in pythons]
    assert [line.partition("python -m ")[2] for line in lines] == [
        "uv pip install torch",
        "pip install torch",
        "pip install torch",
    ]


@pytest.mark.parametrize("in_model", [False, True], ids=["imported", "in the model"])
@pytest.mark.parametrize("original", ["nb/score.py", "own/src/score.py"])
def test_a_module_that_lies_elsewhere_is_named_with_its_path(original, in_model, tmp_path, monkeypatch, snapshot):
    monkeypatch.chdir(tmp_path)
    for name in ("nb/score.py", "lib/cleaning.py", "own/src/score.py", "own/src/helper.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    module = "src.helper" if "src" in original else "cleaning"
    pickled = b"\x80\x04\x8c" + bytes([len(module)]) + module.encode() + b"\x8c\x01R\x93."
    text = loading(pickled) if in_model else f"import {module}\n" + init("pass")
    script = ScriptInfo("score.py", "source/score.py", text, original=str(tmp_path / original))
    cause = explain(failure_of(text, "init" if in_model else "import"), script=script, settings=SETTINGS, timezone=UTC)
    assert (cause.code, "%pip" in shown(cause)) == ("module-missing", False)
    assert shown(cause) == snapshot


@pytest.mark.parametrize("name", ["scaler"], ids=["name from the notebook"])
def test_a_name_that_the_notebook_has_is_said_to_live_there(name, snapshot):
    text = init(f"print({name})")
    script = in_cell(text, notebook_names={name})
    assert shown(explain(failure_of(text), script=script, settings=SETTINGS, timezone=UTC)) == snapshot


@pytest.mark.parametrize("cell", [True, False], ids=["cell", "file"])
@pytest.mark.parametrize(
    "line",
    [
        f"open('{ROOT}/azureml-models/m.pkl')",
        "raise IsADirectoryError(21, 'Is a directory', " + repr(f"{ROOT}/azureml-models") + ")",
        "raise type('ModelNotFoundException', (Exception,), {})('no model named \"iris\"')",
    ],
    ids=["file", "folder", "by name"],
)
def test_a_service_without_a_model_is_told_to_name_one(line, cell, snapshot):
    text = init(line)
    script = in_cell(text) if cell else ScriptInfo("score.py", "source/score.py", text)
    known = {**SETTINGS, "model_dir": f"{ROOT}/azureml-models"}
    cause = explain(failure_of(text), script=script, settings=known, models=[], timezone=UTC)
    assert shown(cause) == snapshot
    # Where nothing is known of the models, nothing is said of them.
    assert "no model was named" not in shown(explain(failure_of(text), script=script, settings=SETTINGS, timezone=UTC))


OTHERS = {"wrapped": ["wrapped.pkl"], "iris": ["iris.pkl", "more/labels.json"]}


@pytest.mark.parametrize("where", ["cell", "file", "deployment"])
@pytest.mark.parametrize(
    "line",
    [
        f"open('{ROOT}/azureml-models/diabetes/3/iris.pkl')",
        f"open('{ROOT}/azureml-models/diabetes/3/labels.json')",
        "raise type('ModelNotFoundException', (Exception,), {})('no model named \"iris\"')",
    ],
    ids=["file", "file in a folder", "by name"],
)
def test_a_file_that_another_registered_model_has_names_that_model(line, where, snapshot):
    text = init(line)
    script = in_cell(text) if where == "cell" else ScriptInfo("score.py", "source/score.py", text)
    settings = {**SETTINGS, "checking": where != "deployment"}
    failure = {**failure_of(text), "other_models": OTHERS, "model_tree": ["diabetes/3/ridge.pkl"]}
    cause = explain(failure, script=script, settings=settings, timezone=UTC)
    assert "-m iris" in cause.hint
    assert shown(cause) == snapshot


TAIL = ["loading the model", "Traceback (most recent call last):", "ImportError: libomp.so \x1b[31mnot found"]
FRAMES = [{"file": "/usr/lib/python3/x.py", "line": 9, "function": "get", "text": "sock.recv()"}]
HUNG = [{"file": SCRIPT, "line": 5, "function": "init", "text": "    download(model)"}, *FRAMES]

PROCESS = {
    "port in use": {
        "code": "port-in-use",
        "stage": "rollout",
        "message": "port 8890: Address already in use",
        "port": 8890,
        "holder": {"pid": 4711, "command": "python -m other.server \x1b[2J"},
    },
    "port in use by nobody knows whom": {"code": "port-in-use", "port": 8890, "holder": None},
    "memory, certain": {
        "code": "killed",
        "stage": "init",
        "signal": 9,
        "memory": {"oom_kill": True, "limit": 2_000_000_000, "peak": 1_999_000_000},
    },
    "over the memory limit": {
        "code": "memory-limit",
        "stage": "init",
        "signal": 9,
        "memory": {"oom_kill": False},
        "used": 612_000_000,
        "limit": 512_000_000,
        "proposed": 1_000_000_000,
    },
    "over the memory limit, without figures": {"code": "memory-limit", "stage": "run"},
    "memory, without figures": {
        "code": "killed",
        "stage": "init",
        "signal": 9,
        "memory": {"oom_kill": True, "limit": None, "peak": None},
    },
    "memory, probably": {"code": "killed", "stage": "init", "signal": 9, "memory": {"oom_kill": None}},
    "killed, not for memory": {"code": "killed", "stage": "init", "signal": 9, "memory": {"oom_kill": False}},
    "crash in native code": {
        "code": "killed",
        "stage": "init",
        "signal": signal.SIGSEGV,
        "memory": {"oom_kill": False},
    },
    "crash with a stack in the log": {
        "code": "killed",
        "stage": "init",
        "signal": signal.SIGSEGV,
        "log_tail": [
            "Fatal Python error: Segmentation fault",
            "Current thread 0x1 (most recent call first):",
            '  File "/usr/lib/python3/ctypes/__init__.py", line 519 in string_at',
            f'  File "{SCRIPT}", line 5 in init',
            '  File "/srv/mldeploy_serving/worker.py", line 90 in main',
        ],
    },
    "ended by a person": {"code": "killed", "stage": "probe", "signal": signal.SIGTERM},
    "unheard-of signal": {"code": "killed", "stage": "init", "signal": 99},
    "init too long": {
        "code": "init-timeout",
        "stage": "init",
        "signal": 9,
        "memory": {"oom_kill": None},
        "frames": HUNG,
        "seconds": 30.0,
    },
    "import too long": {"code": "init-timeout", "stage": "import", "frames": []},
    "exit by itself": {"code": "exited", "stage": "init", "exit_code": 3, "log_tail": TAIL},
    "interpreter": {
        "code": "spawn-failed",
        "stage": "rollout",
        "message": "[Errno 2] No such file or directory: '/opt/env/bin/python'",
    },
    "interpreter that says something": {"code": "spawn-failed", "message": "", "log_tail": TAIL},
    "cancelled": {"code": "cancelled", "stage": "init", "message": "cancelled"},
    "busy": {"code": "busy", "message": "deployment d-2 runs"},
    "worker lost": {"code": "worker-lost", "stage": "switch", "message": "a new worker was lost before it got traffic"},
    "sample refused": {
        "code": "probe-failed",
        "stage": "probe",
        "message": "POST /score was answered with 422: data[0] must be an integer",
        "response": {"message": "x"},
    },
    "not ready": {
        "code": "probe-failed",
        "stage": "probe",
        "message": "GET /ready was answered with 503: init() is running",
    },
    "contract": {"code": "contract", "stage": "import", "message": "no run()"},
    "an error of ours": {
        "code": "EnvironmentFailed",
        "stage": "environment",
        "what": "the environment could not be made",
        "why": "numpy 9 does not exist",
        "hint": "choose another version",
        "where": "conda.yml line 4",
    },
    "unknown": {"code": "strange-new-thing", "message": "the flux \x1b[31mcapacitor\nfailed"},
    "nothing at all": {},
}


ENGINE: dict[str, dict[str, Any]] = {
    "no engine": {"code": "engine-absent", "message": "no engine listens", "origin": "default", "tried": ["unix:///x"]},
    "engine whose socket is stale": {
        "code": "engine-absent",
        "message": "Connection refused",
        "origin": "default",
        "endpoint": "unix:///var/run/docker.sock",
    },
    "engine of DOCKER_HOST": {
        "code": "engine-absent",
        "message": "Connection refused",
        "origin": "DOCKER_HOST",
        "endpoint": "tcp://127.0.0.1:2375",
    },
    "engine of a context": {
        "code": "engine-absent",
        "message": "Connection refused",
        "origin": "context",
        "context": "lab",
        "endpoint": "unix:///srv/lab.sock",
    },
    "unknown context": {
        "code": "engine-context",
        "context": "lab",
        "chosen_by": "DOCKER_CONTEXT",
        "known": ["desktop-linux", "remote"],
    },
    "unknown context among none": {
        "code": "engine-context",
        "context": "lab",
        "chosen_by": "/srv/ada/.docker/config.json",
        "known": [],
    },
    "socket of a group": {
        "code": "engine-permission",
        "endpoint": "unix:///var/run/docker.sock",
        "group": "docker",
        "user": "ada",
        "member": False,
    },
    "socket of a group that was joined": {
        "code": "engine-permission",
        "endpoint": "unix:///var/run/docker.sock",
        "group": "docker",
        "user": "ada",
        "member": True,
    },
    "socket of root": {"code": "engine-permission", "endpoint": "unix:///run/podman/podman.sock", "user": "ada"},
    "engine that hangs": {"code": "engine-silent", "endpoint": "unix:///var/run/docker.sock", "message": "timed out"},
    "old engine": {"code": "engine-too-old", "version": "18.09", "api": "1.39", "oldest": "1.40"},
    "Windows containers": {"code": "engine-not-linux", "os": "windows"},
    "engine without certificates": {"code": "engine-tls", "folder": "/srv/ada/.docker"},
    "engine elsewhere": {"code": "engine-remote", "endpoint": "ssh://ada@big"},
    "engine restarted": {"code": "engine-lost", "message": "('Connection aborted.', ...)", "restarted": "14:03:12"},
    "engine lost": {"code": "engine-lost", "message": "('Connection aborted.', ...)"},
    "engine refuses": {"code": "engine-error", "message": "cannot set memory: invalid argument"},
    "engine's disk full": {
        "code": "no-space",
        "message": "write /layer.tar: no space left on device",
        "root": "/var/lib/docker",
    },
    "base image missing": {
        "code": "no-image",
        "message": "manifest for python:9 not found: manifest unknown",
        "image": "python:9",
    },
    "own image missing": {
        "code": "no-image",
        "message": "No such image: sha256:5d0",
        "image": "sha256:5d0",
        "own": True,
    },
    "registry that wants a login": {
        "code": "registry-refused",
        "message": "no basic auth credentials",
        "image": "registry.lab:5000/base:1",
    },
    "registry away": {
        "code": "registry-away",
        "message": "dial tcp: lookup registry.lab: no such host",
        "image": "registry.lab/base:1",
    },
    "registry with a limit": {"code": "registry-busy", "message": "toomanyrequests: slow down", "image": "python:3.11"},
    "registry with a certificate of its own": {
        "code": "registry-certificate",
        "message": "x509: certificate signed by unknown authority",
        "registry": "registry.lab",
    },
    "image of another architecture": {
        "code": "wrong-architecture",
        "message": "no matching manifest",
        "image": "python:3.11",
        "found": "linux/arm64",
        "platform": "linux/amd64",
    },
    "container that ended": {"code": "container-exited", "exit_code": 3, "log_tail": ["loading", "it is broken"]},
    "container whose program is missing": {"code": "container-exited", "exit_code": 127, "log_tail": []},
    "port of a container": {"code": "port-in-use", "port": 8890, "holder": {"container": "web", "pid": 12}},
}


@pytest.mark.parametrize("name", ENGINE)
def test_causes_of_an_engine_and_its_containers(name, snapshot):
    cause = explain(ENGINE[name], script=None, settings=SETTINGS, models=[], timezone=UTC)
    assert shown(cause) == snapshot


@pytest.mark.parametrize("name", PROCESS)
def test_causes_of_a_process_that_ended(name, snapshot):
    text = "import os\n\n\ndef init():\n    download(model)\n"
    cause = explain(PROCESS[name], script=in_cell(text), settings=SETTINGS, models=[MODEL], timezone=UTC)
    assert shown(cause) == snapshot


def test_a_helper_that_was_not_shipped_is_told_from_a_package():
    text = "import features\n" + init("pass")
    cause = case(text, "import", script=in_cell(text, beside=("features.py", "utils")))
    assert cause.code == "helper-missing" and "source_directory" in cause.hint
    assert case(text, "import").code == "module-missing"


def test_a_failure_inside_a_helper_names_both_lines(monkeypatch):
    file = f"{ROOT}/source/features.py"
    helper = loaded("\n\ndef load(path):\n    raise ValueError(path)\n", file)
    monkeypatch.setitem(sys.modules, "features_of_test", type("M", (), {"load": staticmethod(helper["load"])}))
    cause = case("import features_of_test\n" + init("features_of_test.load('x')"))
    assert cause.where.startswith("features.py line 4, called from cell [3] line 4, ")
    assert [line["text"].strip() for line in cause.excerpt if line["guilty"]] == ["features_of_test.load('x')"]


def test_the_line_is_the_script_s_own_even_deep_inside_a_library():
    cause = case("import json\n" + init("json.loads('{')"))
    assert cause.where.startswith("cell [3] line 4,") and cause.data["exception"] == "JSONDecodeError"


def test_without_a_cell_the_line_of_the_file_is_named():
    text = init("1 / 0")
    cause = case(text, script=ScriptInfo("score.py", "source/score.py", text))
    assert cause.where == "score.py line 2"
    assert [line["text"] for line in cause.excerpt if line["guilty"]] == ["    1 / 0"]
    assert "save score.py" in cause.hint


def test_a_newer_version_of_the_cell_is_named():
    text = init("1 / 0")
    script = in_cell(text)
    newer = ScriptInfo(script.name, script.path, script.text, script.cell, newest=4)
    assert case(text, script=newer).where.endswith("run at 14:03, version 2; version 4 was run since")


def test_versions_are_compared_with_those_at_registration():
    cause = case(
        loading(b"\x80\x04\x8c\x14sklearn.linear_model\x8c\x05Gone_\x93."),
        versions={"Scikit_Learn": "1.9.1", "numpy": "1.26.4"},
    )
    assert cause.code == "model-version"
    assert "scikit-learn 1.2.0 (the service has 1.9.1)" in cause.why and "numpy" not in cause.why
    assert "scikit-learn==1.2.0" in cause.hint


def test_an_ordinary_error_in_init_is_not_taken_for_a_broken_model():
    for line in ("input()", "raise EOFError('EOF when reading a line')", "{}.nothing", "raise TypeError('takes 1')"):
        text = init(line)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("builtins.input", lambda: (_ for _ in ()).throw(EOFError("EOF when reading a line")))
            assert case(text).code == "init-raised", line


def test_a_contract_failure_is_found_at_its_line():
    text = "def init(path):\n    pass\n" + PASS
    cause = explain({"code": "contract", "stage": "import", "message": "x"}, script=in_cell(text), settings=SETTINGS)
    assert cause.what == "init() takes parameters" and cause.where.startswith("cell [3] line 2,")


def test_a_cause_becomes_the_error_of_the_deployment():
    cause = case(init("1 / 0"))
    error = cause.to_error("diabetes", "d-1")
    assert isinstance(error, DeploymentFailed) and error.deployment_id == "d-1" and error.cause is cause
    assert str(error).splitlines()[0] == "error: init() raised ZeroDivisionError"
    assert "mldeploy service get-logs -n diabetes" in Cause("x", "y").to_error("diabetes").hint
    assert Cause.from_dict(cause.to_dict()) == cause


json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
exceptions = st.fixed_dictionaries(
    {
        "type": st.sampled_from(
            ["NameError", "SyntaxError", "EOFError", "ModuleNotFoundError", "FileNotFoundError", "Odd"]
        )
    },
    optional={
        "message": st.text(max_size=20),
        "attributes": json,
        "syntax": st.none() | st.dictionaries(st.sampled_from(["file", "line", "text"]), json),
    },
)


@settings(max_examples=300)
@given(
    st.fixed_dictionaries(
        {"code": st.sampled_from([*{str(f.get("code")) for f in PROCESS.values()}, "init-raised"])},
        optional={
            "message": json,
            "signal": json,
            "memory": json,
            "log_tail": json,
            "holder": json,
            "exception": exceptions,
            "stage": json,
            "versions": json,
            "seconds": json,
            "used": json,
            "limit": json,
            "proposed": json,
            "damaged": json,
            "model_tree": json,
            "frames": json,
        },
    )
)
def test_odd_data_never_raises_and_always_says_something(failure):
    cause = explain(failure, script=ScriptInfo(), settings=SETTINGS, models=[{}, MODEL])
    assert cause.code and cause.what and cause.hint
    assert "\x1b" not in cause.what + cause.why + cause.hint + cause.where


def test_hints_name_no_magic_and_say_update_where_a_service_goes_on():
    text = init("1 / 0")
    failure = {"code": "init-raised", "stage": "init", "message": "x"}
    failure["exception"] = {"type": "ZeroDivisionError", "message": "x", "frames": []}
    script = in_cell(text)

    def hint(**settings: Any) -> str:
        return explain(failure, script=script, settings=settings).hint

    assert hint(service="churn") == "correct the line, run the cell again, then deploy churn again"
    assert hint(service="churn", updating=True) == "correct the line, run the cell again, then update churn again"
    assert hint() == "correct the line, run the cell again, then deploy again"
    # In the cell that only tries the script no service is meant, whatever was deployed before.
    assert hint(service="churn", checking=True) == "correct the line, then run the cell again"
    killed = {"code": "killed", "stage": "init", "signal": 9, "memory": {"oom_kill": False}}
    assert explain(killed, script=script, settings={"service": "churn"}).hint == "deploy churn again"
    assert explain(killed, script=script, settings={"checking": True}).hint == "run the cell again"


def test_a_variable_that_stops_python_is_named(snapshot):
    tail = ["Python path configuration:", "Fatal Python error: init_fs_encoding: failed to get the codec"]
    failure = {"code": "exited", "stage": "import", "exit_code": 1, "log_tail": tail}
    known = {**SETTINGS, "env": {"PYTHONHOME": "/nowhere", "MODE": "fast"}}
    assert shown(explain(failure, script=None, settings=known, models=[], timezone=UTC)) == snapshot


@pytest.mark.parametrize(("name", "is_body"), [("a.txt", False), ('{"data": [1]}', True)])
def test_a_failure_of_run_that_is_read_from_the_log_has_its_message_only(name: str, is_body: bool) -> None:
    exception = {"type": "FileNotFoundError", "message": f"[Errno 2] No such file or directory: '{name}'"}
    failure = {"code": "script-failed", "stage": "run", "exception": exception}
    cause = explain(failure, script=in_cell(PASS), settings=SETTINGS, timezone=UTC)
    assert (cause.code == "text-as-file") is is_body
