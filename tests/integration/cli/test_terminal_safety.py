"""Nothing that a colleague, a model file, a script or a client wrote reaches a terminal as a command.

One process runs every command on a real pseudo-terminal, in a workspace whose every text is hostile.
"""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

from mldeploy_jupyter.commands import COMMANDS
from mldeploy_jupyter.core.records import ModelRecord, RevisionRecord, ServiceRecord
from mldeploy_jupyter.core.workspace.folder import create_workspace

# Writes the clipboard and the title, clears the screen, C1 controls, reversed reading, a line that looks like ours.
HOSTILE = (
    "a\x1b]52;c;cm0gLXJmIH4K\x07b\x1b]0;title\x1b\\c\x1b[2J\x1b[31md\x9b1me\x9d0;x\x9c\u202ef\u2066g\x7f\x08"
    "\rh\u2028i\x85j\nhint: run evil\nerror: fake"
)
CONTROLS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
FAKE = re.compile(r"^(hint: run evil|error: fake)", re.MULTILINE)

# The words after each command, as Python: H is the hostile text. Every command is listed, none is left out.
WORDS = {
    "model register": [["-n", "H", "-p", "H"], ["-n", "m", "-p", "H"]],
    "model list": [[], ["--json"], ["-o", "tsv"], ["-o", "yaml"], ["-o", "table", "--query", "[]"], ["--query", "H"]],
    "model show": [["m:1"], ["m:1", "--json"], ["H"], ["m:9"]],
    "model deploy": [["H", "-m", "m:1"], ["svc", "-m", "H", "--script", "H"], ["svc", "-dc", "H"], ["x", "-H", "1"]],
    "model update": [["m:1", "--description", "H"], ["m:1", "--add-tag", "H=H"], ["m:1", "--cpu-cores", "H"]],
    "model download": [["m:1", "-t", "H"]],
    "model delete": [["H"], ["m:H"]],
    "model profile": [["H", "--es", "H"], ["profile", "-m", "H"], ["profile", "-m", "m:1", "-d", "H"]],
    "service list": [[], ["--all"], ["--json"], ["--tag", "H"], ["-c", "H"]],
    "service show": [["svc"], ["svc", "--json"], ["H"]],
    "service run": [["svc", "-d", "H"], ["H", "-d", "1"], ["svc", "--data", "H"]],
    "service get-logs": [["svc"], ["H"], ["svc", "-l", "H"]],
    "service get-keys": [["svc"], ["H"]],
    "service get-access-token": [["svc"], ["H"]],
    "service regen-key": [["svc", "-k", "H"], ["H", "-k", "primary"]],
    "service update": [["svc", "--description", "H"], ["svc", "-m", "H"], ["H"], ["svc", "--script", "H"]],
    "service start": [["svc"], ["H"]],
    "service stop": [["H"]],
    "service reload": [["svc", "--no-wait"], ["H"]],
    "service rollback": [["svc", "--no-wait"], ["svc", "--revision", "H"]],
    "service cancel": [["svc"], ["H"]],
    "service wait": [["svc", "--timeout-sec", "1"], ["H"]],
    "service delete": [["H"]],
    "image build": [["H", "--script", "H"], ["-m", "H", "--script", "H"], ["--folder", "H", "--script", "H"]],
    "image list": [[], ["--json"]],
    "image push": [["H"], ["svc", "--to", "H"]],
    "image export": [["svc"], ["svc", "-f", "H"]],
    "latency": [["svc", "-d", "H"], ["H"], ["svc", "--rate", "H"], ["svc", "--p99-below", "H"]],
    "latency list": [[], ["H"]],
    "latency show": [["H"]],
    "latency compare": [["H"], ["H", "H"]],
    "script check": [["H"], ["bad.py"]],
    "workspace create": [["sub", "--name", "H"], ["H/x"]],
    "workspace show": [[], ["--json"], ["-w", "H"], ["H"]],
    "workspace update": [["--description", "H"], ["--base-image", "H"], ["--image-registry", "H"]],
    "workspace list": [[], ["--json"]],
    "workspace delete": [[], ["H"], ["-w", "H", "--yes"]],
    "completion": [["bash"], ["H"]],
    "prune": [["--dry-run"], ["--keep-deployments", "H"]],
}
PROGRAM = """
import json, sys
from mldeploy_jupyter.cli import main
for words in json.loads(sys.stdin.read()):
    try:
        print("$", ascii(" ".join(words)))
        main(words)
    except Exception as error:
        print("TRACEBACK", type(error).__name__, repr(str(error)))
"""


@pytest.fixture
def hostile_workspace(folder: Path) -> Path:
    made = create_workspace(folder, name=HOSTILE)
    store, texts = made.open_store(), {"tags": {HOSTILE: HOSTILE}, "properties": {HOSTILE: HOSTILE}}
    store.add_model(
        ModelRecord(
            "m",
            description=HOSTILE,
            created_by=HOSTILE,
            created_time="2026-01-31T12:00:00.000Z",
            model_framework=HOSTILE,
            model_framework_version=HOSTILE,
            run_id=HOSTILE,
            experiment_name=HOSTILE,
            files={HOSTILE: ["0" * 64, 1]},
            details={HOSTILE: HOSTILE},
            **texts,  # type: ignore[arg-type]
        )
    )
    error = {"code": HOSTILE, "what": HOSTILE, "why": HOSTILE, "hint": HOSTILE, "where": HOSTILE}
    store.save_service(
        ServiceRecord(
            "svc",
            "local",
            "Local",
            made.id,
            state="Failed",
            description=HOSTILE,
            created_by=HOSTILE,
            error=error,
            endpoint={"scoring_uri": HOSTILE, "swagger_uri": HOSTILE},
            **texts,  # type: ignore[arg-type]
        )
    )
    store.add_revision(
        RevisionRecord("svc", models=[HOSTILE], outcome=HOSTILE, created_time="2026-01-31T12:00:00.000Z")
    )
    bad = (
        f"def init():\n    print({HOSTILE!r})\n    raise ValueError({HOSTILE!r})\n\n\ndef run(data):\n    return data\n"
    )
    (folder / "bad.py").write_text(bad)
    return folder


def on_a_terminal(lines: list[list[str]], **environment: str) -> str:
    """What one process with the standard streams on a pseudo-terminal shows."""
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        env={**os.environ, "TERM": "xterm", "NO_COLOR": "1", **environment},
        stdin=subprocess.PIPE,
        stdout=follower,
        stderr=follower,
    )
    os.close(follower)
    assert process.stdin is not None
    process.stdin.write(json.dumps(lines).encode())
    process.stdin.close()
    seen = b""
    with contextlib.suppress(OSError):  # Linux says EIO when the other end is closed
        while chunk := os.read(leader, 65536):
            seen += chunk
    os.close(leader)
    assert process.wait(60) == 0
    text = seen.decode("utf-8").replace("\r\n", "\n")
    return re.sub(r"checking bad\.py: [^\r\n]*\r *\r?", "", text)  # a line that is overwritten while the check runs


def assert_harmless(text: str) -> None:
    found = [line for line in text.split("\n") if CONTROLS.search(line) or "\r" in line]
    assert not found, found[:3]
    fakes = [text[max(0, match.start() - 300) : match.end()] for match in FAKE.finditer(text)]
    assert not fakes, fakes[0]


def test_every_command_on_a_terminal(hostile_workspace: Path) -> None:
    assert set(WORDS) == {item.name for item in COMMANDS}
    lines = [
        [*name.split(), *(word.replace("H", HOSTILE) for word in words)]
        for name, cases in WORDS.items()
        for words in cases
    ]
    shown = on_a_terminal(lines)
    assert shown.count("$ ") >= len(lines)
    assert_harmless(shown)
    assert "TRACEBACK" not in shown, shown[shown.index("TRACEBACK") - 500 :][:1000]


def test_json_on_a_terminal_keeps_the_values(hostile_workspace: Path) -> None:
    shown = on_a_terminal([["model", "list", "--json"]]).partition("\n")[2]
    assert_harmless(shown)
    assert json.loads(shown)[0]["description"] == HOSTILE
