"""The program `mldeploy` as its users run it: real processes, a real service, every output and exit code."""

from __future__ import annotations

import contextlib
import io
import json
import os
import pty
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mldeploy_jupyter import Workspace
from mldeploy_jupyter.commands import Context, open_workspace, run
from tests.ports import free_port

MLDEPLOY = [sys.executable, "-m", "mldeploy_jupyter.cli"]
SCRIPT = """import json, os, pathlib

def init():
    global factor
    factor = float(pathlib.Path(os.environ["AZUREML_MODEL_DIR"], "model.txt").read_text())
    print("the factor is", factor)

def run(data):
    return [factor * value for value in json.loads(data)["data"]]
"""
# init() waits until the test opens a fifo for writing: no clock decides.
WAITING = """import os, pathlib

def init():
    open(os.environ["GATE"]).read()

def run(data):
    return 1
"""


class Cli:
    """Runs commands in one folder. `deadline` in seconds is for a busy machine; nothing waits for it."""

    def __init__(self, folder: Path, home: Path) -> None:
        self.folder = folder
        self.env = {**os.environ, "MLDEPLOY_HOME": str(home), "NO_COLOR": ""}
        self.env.pop("MLDEPLOY_WORKSPACE", None)

    def run(self, *words: str, cwd: Path | None = None, text: str = "", deadline: float = 120) -> Any:
        return subprocess.run(
            [*MLDEPLOY, *words],
            cwd=cwd or self.folder,
            env=self.env,
            input=text,
            capture_output=True,
            text=True,
            timeout=deadline,
        )

    def ok(self, *words: str, cwd: Path | None = None, text: str = "") -> str:
        done = self.run(*words, cwd=cwd, text=text)
        assert done.returncode == 0, done.stderr
        return str(done.stdout)

    def json(self, *words: str, cwd: Path | None = None) -> Any:
        """The one document on standard output."""
        return json.loads(self.ok(*words, "--json", cwd=cwd))


@pytest.fixture
def cli(tmp_path: Path) -> Iterator[Cli]:
    folder = tmp_path / "work"
    folder.mkdir()
    (folder / "model.txt").write_text("2")
    (folder / "score.py").write_text(SCRIPT)
    made = Cli(folder, tmp_path / "home")
    yield made
    listed = made.run("service", "list", "--all", "--json")
    for service in json.loads(listed.stdout or "[]"):
        made.run("service", "cancel", service["name"])
        made.run("service", "delete", service["name"])


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys; from mldeploy_jupyter.cli import main; main(['model', 'deploy', '--help']); main(['--help']);"
        "heavy = {'sqlalchemy', 'requests', 'yaml', 'IPython', 'fsspec', 'httptools', 'numpy', 'plotly', 'rattler'};"
        "ours = {m for m in sys.modules if m.startswith(('mldeploy_jupyter.api', 'mldeploy_jupyter.deployment'))};"
        "sys.exit(str(sorted(heavy & set(sys.modules)) + sorted(ours)) if heavy & set(sys.modules) or ours else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "model register" in done.stdout


def test_version_and_exit_codes(cli: Cli) -> None:
    assert cli.ok("--version").startswith("mldeploy 0.")
    assert cli.json("--version")["version"][0].isdigit()
    wrong = cli.run("modle", "list")
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert wrong.stderr.splitlines() == [
        "error: 'modle' is not a command",
        "cause: the first word is one of model, service, image, latency, script, workspace, prune, completion",
        "hint: did you mean: mldeploy model list",
    ]
    none = cli.run("model", "list", "--json")
    assert (none.returncode, none.stdout) == (1, "")
    assert json.loads(none.stderr)["error"]["code"] == "WorkspaceError"
    as_json = cli.run("model", "list", "--latst", "-o", "json")
    assert (as_json.returncode, json.loads(as_json.stderr)["error"]["code"]) == (2, "Usage")


def test_a_script_is_checked(cli: Cli) -> None:
    cli.ok("model", "register", "m1", "model.txt")
    checked = cli.run("script", "check", "score.py", "-m", "m1", "--json")
    assert checked.returncode == 0, checked.stderr
    assert json.loads(checked.stdout)["models"] == ["m1:1"] and "the factor is" in checked.stderr
    failed = cli.run("script", "check", "score.py")
    assert (failed.returncode, failed.stdout) == (1, "") and "(score.py line " in failed.stderr
    assert cli.run("script", "check", "gone.py").returncode == 2


def test_from_register_to_delete(cli: Cli, tmp_path: Path) -> None:
    made = cli.run("model", "register", "-n", "twice", "-p", "model.txt", "--json")
    assert json.loads(made.stdout)["id"] == "twice:1"
    assert "Created workspace" in made.stderr

    (cli.folder / "deploy.yml").write_text("computeType: local\nscoringTimeoutMs: 5000\nworkerCount: 1\n")
    (cli.folder / "inference.json").write_text(json.dumps({"entryScript": "score.py", "sourceDirectory": None}))
    deployed = cli.run("model", "deploy", "-m", "twice:1", "-ic", "inference.json", "-dc", "deploy.yml", "--json")
    assert deployed.returncode == 0, deployed.stderr
    assert "The service's name is twice" in deployed.stderr
    assert "Roll out" not in deployed.stderr  # progress is for people
    service = json.loads(deployed.stdout)
    assert (service["name"], service["state"], service["computeType"]) == ("twice", "Healthy", "Local")

    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    assert [row["name"] for row in cli.json("service", "list", cwd=elsewhere)] == ["twice"]
    assert str(cli.folder) in cli.ok("service", "list", "--all")
    assert cli.json("service", "show", "twice", cwd=elsewhere)["scoringUri"] == service["scoringUri"]
    assert not (elsewhere / ".mldeploy").exists()
    assert cli.json("service", "list", "-c", "aci") == []
    assert [row["name"] for row in cli.json("service", "list", "--model-id", "twice:1")] == ["twice"]

    body = '{"data": [1.5]}'
    (cli.folder / "body.json").write_text(body)
    assert json.loads(cli.ok("service", "run", "twice", "-d", body)) == [3.0]
    assert cli.json("service", "run", "-n", "twice", "-d", "@body.json", cwd=cli.folder) == [3.0]
    assert json.loads(cli.ok("service", "run", "twice", "--data", "-", text=body)) == [3.0]
    assert "the factor is 2.0" in cli.ok("service", "get-logs", "twice", "-l", "100")
    logs = cli.json("service", "get-logs", "twice")
    assert "the factor is 2.0" in logs["logs"]
    assert [entry["logger"] for entry in logs["entries"] if entry["message"] == "the factor is 2.0"] == ["print"]

    before = cli.json("service", "get-keys", "twice")
    cli.ok("service", "regen-key", "twice", "-k", "secondary")
    after = cli.json("service", "get-keys", "twice")
    assert before["primaryKey"] == after["primaryKey"] and before["secondaryKey"] != after["secondaryKey"]
    for words in (["show", "twice"], ["list"], ["get-logs", "twice"]):
        assert before["primaryKey"] not in cli.ok("service", *words)  # only get-keys prints keys

    (cli.folder / "model.txt").write_text("10")
    cli.ok("model", "register", "twice", "model.txt")
    updated = cli.json("service", "update", "twice", "-m", "twice:2", "--scoring-timeout-ms", "6000")
    assert updated["models"] == ["twice:2"] and updated["revision"] == 2
    assert json.loads(cli.ok("service", "run", "twice", "-d", body)) == [15.0]
    assert cli.json("service", "update", "twice", "--add-tag", "a=b")["tags"] == {"a": "b"}
    assert cli.json("service", "show", "twice")["revision"] == 2  # tags need no new revision
    unsaid = cli.run("service", "update", "twice")
    assert unsaid.returncode == 2
    assert unsaid.stderr.splitlines()[-1] == "hint: for example: mldeploy service update twice -m twice:2"
    cli.ok("service", "rollback", "twice")
    rows = [line.split("  ") for line in cli.ok("service", "show", "twice").partition("REVISION")[2].splitlines()[1:]]
    assert [[cell.strip() for cell in row if cell][:3] for row in rows] == [
        ["3", "serves (revision 1 again)", "twice:1"],
        ["2", "kept", "twice:2"],
        ["1", "kept", "twice:1"],
    ]
    shown = cli.json("service", "show", "twice")["revisions"]
    assert [(row["number"], row["outcome"], row["rolled_back_to"]) for row in shown] == [
        (3, "live", 1),
        (2, "kept", 0),
        (1, "kept", 0),
    ]
    assert json.loads(cli.ok("service", "run", "twice", "-d", body)) == [3.0]

    in_use = cli.run("model", "delete", "twice:1")
    assert in_use.returncode == 1 and "twice" in in_use.stderr
    taken = cli.run("model", "deploy", "twice", "-m", "twice:1", "--script", "score.py")
    assert taken.returncode == 1 and "--overwrite" in taken.stderr
    cli.ok("service", "stop", "twice")
    assert "Stopped" in cli.ok("service", "list")
    asleep = cli.run("service", "run", "twice", "-d", body)
    assert asleep.stderr.splitlines() == [
        "error: twice does not run",
        "cause: it was stopped",
        "hint: start it with `mldeploy service start twice`",
    ]
    cli.ok("service", "start", "twice")
    assert json.loads(cli.ok("service", "run", "twice", "-d", body)) == [3.0]
    assert cli.json("service", "cancel", "twice") == {"name": "twice", "cancelled": False}
    assert cli.ok("service", "cancel", "twice") == "twice has no deployment under way\n"
    assert cli.json("service", "delete", "twice") == {"name": "twice", "deleted": True}
    gone = cli.run("service", "show", "twice")
    assert gone.returncode == 1 and "Traceback" not in gone.stderr
    assert cli.json("service", "list") == []


def test_errors_about_a_stopped_service_name_the_start_command(cli: Cli) -> None:
    cli.ok("model", "register", "m1", "model.txt")
    cli.ok("model", "deploy", "mine", "-m", "m1", "--script", "score.py")
    port = cli.json("service", "show", "mine")["port"]
    supervisor = json.loads((cli.folder / ".mldeploy/services/mine/supervisor.json").read_text())["pid"]
    os.kill(supervisor, signal.SIGKILL)
    gone = cli.run("service", "run", "mine", "-d", '{"data": [1.5]}')
    assert gone.returncode == 1 and gone.stderr.splitlines() == [
        "error: mine does not run",
        "cause: its supervisor process is gone",
        "hint: start it with `mldeploy service start mine`",
    ]
    cli.ok("service", "start", "mine")
    cli.ok("service", "stop", "mine")
    with socket.create_server(("127.0.0.1", port)):
        taken = cli.run("service", "start", "mine")
        assert taken.returncode == 1 and f"port {port} is in use" in taken.stderr
        hint = "hint: stop that process, or move the service with `mldeploy service update mine --port N`"
        assert taken.stderr.splitlines()[-1] == hint
        # What the hint says works, with the port still taken.
        cli.ok("service", "update", "mine", "--port", str(free_port()))
        assert json.loads(cli.ok("service", "run", "mine", "-d", '{"data": [1.5]}')) == [3.0]


def test_a_new_script_keeps_the_environment_and_a_new_environment_the_script(cli: Cli) -> None:
    cli.ok("model", "register", "m1", "model.txt")
    for name in ("requirements.txt", "later.txt"):
        (cli.folder / name).write_text("")
    cli.ok("model", "deploy", "mine", "-m", "m1", "--script", "score.py", "--requirements", "requirements.txt")
    made = cli.json("service", "show", "mine")["environment"]
    assert made["kind"] != "current"
    (cli.folder / "other.py").write_text(SCRIPT.replace("factor * value", "factor * value + 1"))
    kept = cli.json("service", "update", "mine", "--script", "other.py")
    assert kept["environment"]["digest"] == made["digest"]
    cli.ok("service", "update", "mine", "--requirements", "later.txt")
    assert json.loads(cli.ok("service", "run", "mine", "-d", '{"data": [1.5]}')) == [4.0]
    assert cli.json("service", "show", "mine")["models"] == ["m1:1"]


def test_waiting_for_a_killed_runner_names_the_stage(cli: Cli) -> None:
    gate = cli.folder / "gate"
    os.mkfifo(gate)
    (cli.folder / "score.py").write_text(WAITING)
    cli.ok("model", "register", "m1", "model.txt")
    words = ["model", "deploy", "slow", "-m", "m1", "--script", "score.py", "--env", f"GATE={gate}", "--no-wait"]
    cli.ok(*words)
    with contextlib.closing(_opened_by_its_reader(gate)):
        store = Workspace.from_config(str(cli.folder)).folder.open_store()
        (deployment,) = store.list_deployments()
        os.kill(deployment.runner["pid"], signal.SIGKILL)
        died = cli.run("service", "wait", "slow")
    assert died.returncode == 1
    assert died.stderr.splitlines()[-3:] == [
        "error: the deployment of slow was interrupted",
        "cause: its runner process died in the stage Roll out; nothing serves",
        "hint: deploy again: what was made is used again",
    ]


def _opened_by_its_reader(gate: Path) -> Any:
    """The fifo, opened for writing once init() reads it."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        try:
            return os.fdopen(os.open(gate, os.O_WRONLY | os.O_NONBLOCK), "w")
        except OSError:  # nobody reads yet
            time.sleep(0.02)
    raise AssertionError("init() was not reached")


def test_a_failed_deployment_prints_its_cause_and_exits_with_1(cli: Cli) -> None:
    (cli.folder / "score.py").write_text(
        "def init():\n    raise ValueError('no luck')\n\n\ndef run(data):\n    return data\n"
    )
    cli.ok("model", "register", "m1", "model.txt")
    failed = cli.run("model", "deploy", "broken", "-m", "m1", "--script", "score.py")
    assert (failed.returncode, failed.stdout) == (1, "")
    assert failed.stderr.count("no luck") >= 1 and "error:" in failed.stderr and "line 2" in failed.stderr
    as_json = cli.run("model", "deploy", "broken", "-m", "m1", "--script", "score.py", "--overwrite", "--json")
    assert (as_json.returncode, as_json.stdout) == (1, "")
    error = json.loads(as_json.stderr.splitlines()[-1])["error"]
    assert "no luck" in error["why"] and "line 2" in error["where"]


def test_a_target_of_a_later_version_is_refused(cli: Cli) -> None:
    cli.ok("model", "register", "m1", "model.txt")
    for target in ("aci", "aks", "aksendpoint"):
        refused = cli.run("model", "deploy", "later", "-m", "m1", "--script", "score.py", "--to", target)
        assert refused.returncode == 1 and refused.stderr.startswith("error: "), refused.stderr
        assert "not in this version" in refused.stderr and "Traceback" not in refused.stderr
    assert cli.json("service", "list") == []


def test_an_interrupt_ends_only_the_waiting(cli: Cli) -> None:
    gate = cli.folder / "gate"
    os.mkfifo(gate)
    (cli.folder / "score.py").write_text(WAITING)
    cli.ok("model", "register", "m1", "model.txt")
    words = ["model", "deploy", "slow", "-m", "m1", "--script", "score.py", "--env", f"GATE={gate}"]
    with subprocess.Popen(
        [*MLDEPLOY, *words], cwd=cli.folder, env=cli.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as waiting:
        try:
            with _deadline(waiting, 120):
                assert waiting.stderr is not None
                for line in waiting.stderr:
                    if "Environment" in line:
                        break
            waiting.send_signal(signal.SIGINT)
            out, err = waiting.communicate(timeout=60)
        finally:
            waiting.kill()
    assert (waiting.returncode, out) == (130, "")
    assert "the deployment continues" in err and "mldeploy service wait slow" in err and "Traceback" not in err
    assert cli.json("service", "show", "slow")["state"] == "Transitioning"

    late = cli.run("service", "wait", "slow", "--timeout-sec", "0.2")
    assert late.returncode == 1 and "nothing was cancelled" in late.stderr
    opened = threading.Thread(target=gate.write_text, args=("go",), daemon=True)  # ends when init() reads it
    opened.start()
    assert cli.json("service", "wait", "slow")["state"] == "Healthy"
    opened.join(60)
    assert json.loads(cli.ok("service", "run", "slow", "-d", "1")) == 1


@contextlib.contextmanager
def _deadline(process: subprocess.Popen[str], seconds: float) -> Iterator[None]:
    timer = threading.Timer(seconds, process.kill)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def test_update_live_updates_a_live_service(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """`update_live` with the notebook's defaults: the same again changes nothing, something new is an update."""
    monkeypatch.chdir(cli.folder)
    monkeypatch.setenv("MLDEPLOY_HOME", cli.env["MLDEPLOY_HOME"])
    cli.ok("model", "register", "m1", "model.txt")

    def deploy(*words: str) -> tuple[Any, str]:
        said = io.StringIO()
        defaults = {"entry_script": "score.py", "models": ["m1:1"]}
        context = Context(
            open_workspace, out=said, err=said, wait_by_default=False, namespace={}, defaults=defaults, update_live=True
        )
        return run(["model", "deploy", "mine", *words], context=context).value, said.getvalue()

    first, said = deploy("--wait")
    assert first.revision == 1 and "Roll out" in said
    same, said = deploy("--wait")
    assert same.revision == 1 and "already serves exactly this" in said
    (cli.folder / "score.py").write_text(SCRIPT.replace("factor * value", "factor * value + 1"))
    changed, said = deploy()
    changed.wait_for_deployment()
    assert changed.revision == 2
    assert changed.run({"data": [1.5]}) == [4.0]


def test_no_wait_returns_and_wait_follows(cli: Cli) -> None:
    cli.ok("model", "register", "m1", "model.txt")
    begun = cli.run("model", "deploy", "later", "-m", "m1", "--script", "score.py", "--no-wait")
    assert begun.returncode == 0 and "mldeploy service wait later" in begun.stdout
    waited = cli.run("service", "wait", "later")
    assert waited.returncode == 0 and "Live" in waited.stdout and "Roll out" in waited.stderr
    assert "\x1b" not in waited.stderr


def test_a_closed_pipe_is_not_an_error(cli: Cli) -> None:
    process = subprocess.Popen(
        [*MLDEPLOY, "model", "deploy", "--help"], env=cli.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None and process.stderr is not None
    process.stdout.close()
    err = process.stderr.read()
    process.stderr.close()
    assert process.wait(60) in (0, 141)
    assert err == b""


@pytest.mark.parametrize(("no_color", "coloured"), [("", True), ("1", False)])
def test_colour_only_on_a_terminal_and_without_no_color(cli: Cli, no_color: str, coloured: bool) -> None:
    leader, follower = pty.openpty()
    env = {**cli.env, "NO_COLOR": no_color, "TERM": "xterm"}
    process = subprocess.Popen([*MLDEPLOY, "modle"], env=env, stderr=follower, stdout=subprocess.DEVNULL)
    os.close(follower)
    seen = b""
    with contextlib.suppress(OSError):  # Linux says EIO when the other end is closed
        while chunk := os.read(leader, 4096):
            seen += chunk
    os.close(leader)
    assert process.wait(60) == 2
    assert b"is not a command" in seen
    assert (b"\x1b[" in seen) is coloured
    assert "\x1b" not in cli.run("modle").stderr
