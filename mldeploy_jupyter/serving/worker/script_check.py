"""Runs an entry script once, without a socket: import, `init()`, the sample.

    python -m mldeploy_serving.check --settings FILE [--result FILE]

The result is one JSON line. It goes to `--result`, or to the file descriptor in MLDEPLOY_RESULT_FD, or to standard
output. What the script prints goes to standard error, so it cannot corrupt the result.
`{"ok", "failure"?, "init_seconds"?, "input"?, "sample"?: {"input", "output", "seconds"}, "modules": {...},
"warnings": [...]}`. The first `input` is in words, what a request's body must be; that of the sample is its data.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from ..ipc.channel import Channel
from ..ipc.failure import from_exception
from ..settings import Settings


def check(settings: Settings) -> dict[str, Any]:
    """Runs the script in this process and returns the result. What the script raises is a failure in it."""
    from ..azureml import import_hook
    from ..scoring.flask_scorer import make_scorer
    from ..scoring.script import load_script
    from . import preload
    from .sample import is_answered, is_refused_by_script, sample_body, sample_failure, sample_request

    before = preload.snapshot()
    result: dict[str, Any] = {"ok": False, "modules": {}, "warnings": []}
    began = time.monotonic()
    stage = "import"
    try:
        import_hook.install()
        script = load_script(settings)
        result["warnings"] += script.warnings
        result["input"] = script.input
        stage = "init"
        script.init()
        result["init_seconds"] = round(time.monotonic() - began, 6)
        stage = "probe"
        scorer = make_scorer(script, debug=True)
        body = sample_body(script)
        if body is not None:
            started = time.monotonic()
            request = sample_request(body, settings.sample_headers)
            if script.is_async:
                response = asyncio.run(scorer.score_async(request))
            else:
                response = scorer.score(request)
            if is_refused_by_script(response):
                refused = f"run() answered the sample with {response.status}"
                result["warnings"].append(
                    f"{refused}: to deploy it, give the sample_headers that it needs, or no_probe"
                )
            elif not is_answered(response):
                result["failure"] = sample_failure(response)
            else:
                output = _json_or_text(response.body)
                seconds = round(time.monotonic() - started, 6)
                result["sample"] = {"input": json.loads(body), "output": output, "seconds": seconds}
        result["warnings"] += scorer.warnings
    except BaseException as error:  # a script's sys.exit() ends the check, but a result is still sent
        result["failure"] = from_exception(error, stage)
    if "failure" in result:
        result["failure"]["seconds"] = round(time.monotonic() - began, 3)
    result["ok"] = "failure" not in result
    result["modules"] = preload.packages_since(before)
    return result


def serve_check(settings: Settings, channel: Channel) -> None:
    """Sends the result to the supervisor, from a forked process whose environment is set. Never returns."""
    result = check(settings)
    sys.stdout.flush()
    sys.stderr.flush()
    channel.send({"event": "checked", "result": result})
    os._exit(0)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="check", description="Runs an entry script once.")
    parser.add_argument("--settings", type=Path, required=True)
    parser.add_argument("--result", type=Path)
    options = parser.parse_args(argv)
    result_fd = _result_fd(options.result)
    os.dup2(2, 1)  # output of the script and of its child processes
    settings = Settings.from_dict(json.loads(options.settings.read_text()))
    os.environ.update(settings.env)
    os.environ["AZUREML_MODEL_DIR"] = settings.model_dir
    os.environ["AZUREML_SOURCE_DIRECTORY"] = settings.source_directory
    os.environ["AZUREML_ENTRY_SCRIPT"] = settings.entry_script
    os.environ["AML_APP_ROOT"] = settings.app_root
    if settings.app_root:
        os.chdir(settings.app_root)
    result = check(settings)
    with os.fdopen(result_fd, "wb") as file:
        file.write(json.dumps(result, default=str).encode("utf-8", "backslashreplace") + b"\n")
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0 if result["ok"] else 1)  # does not wait for threads that the script left behind


def _result_fd(path: Path | None) -> int:
    if path is not None:
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    given = os.environ.get("MLDEPLOY_RESULT_FD", "")
    return int(given) if given.isdigit() else os.dup(1)


def _json_or_text(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return body.decode("utf-8", "replace")


if __name__ == "__main__":
    main()
