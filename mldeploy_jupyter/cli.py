"""The program `mldeploy`: runs a command, prints its result, and ends with the right code.

Exit codes: 0 ok, 1 error, 2 wrong usage, 130 interrupted.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any, TextIO

from mldeploy_jupyter.commands import Context, Result, UsageError, WaitInterrupted, run, wants_json
from mldeploy_jupyter.core.errors import MldeployError


def main(argv: Sequence[str] | None = None) -> int:
    """The entry point. Gives back the exit code; a defect of ours leaves as a traceback."""
    words = list(sys.argv[1:] if argv is None else argv)
    as_json = wants_json(words)
    context = Context(isatty=sys.stderr.isatty(), json=as_json)
    try:
        # Whatever a call below prints is no result: it goes where progress goes.
        with contextlib.redirect_stdout(sys.stderr):
            result = run(words, context=context)
        _print(result, context)
        return 0
    except MldeployError as error:
        _print_error(error, context)
        return 130 if isinstance(error, WaitInterrupted) else 2 if isinstance(error, UsageError) else 1
    except KeyboardInterrupt:
        sys.stderr.write("Interrupted.\n")
        return 130
    except BrokenPipeError:
        # The reader went away (`| head`). Python would complain again while it closes the stream.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141


def _print(result: Result, context: Context) -> None:
    if context.json:
        context.out.write(json.dumps(result.data, indent=2, ensure_ascii=False, default=str) + "\n")
    elif result.text:
        context.out.write(result.text + "\n")
    context.out.flush()


def _print_error(error: MldeployError, context: Context) -> None:
    if context.json:
        # One line, the last: a machine finds it behind whatever was said before.
        context.err.write(json.dumps({"error": error.as_dict()}, ensure_ascii=False, default=str) + "\n")
        return
    text = str(error)
    if use_colour(context.err, os.environ):
        text = text.replace("error:", "\x1b[31;1merror:\x1b[0m", 1)
    context.err.write(text + "\n")


def use_colour(stream: TextIO, environ: Mapping[str, Any]) -> bool:
    """Colour only on a terminal, and not when NO_COLOR has a value or the terminal is dumb."""
    return stream.isatty() and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"


if __name__ == "__main__":
    sys.exit(main())
