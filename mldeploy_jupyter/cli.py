"""The program `mldeploy`: runs a command and prints its result.

Exit codes: 0 ok, 1 error, 2 wrong usage, 3 an inconclusive latency run, 130 interrupted.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TextIO, cast

from mldeploy_jupyter.commands import Context, Result, UsageError, WaitInterrupted, open_workspace, run, wants_json
from mldeploy_jupyter.commands.errors import RunInvalid
from mldeploy_jupyter.core.errors import MldeployError
from mldeploy_jupyter.core.text import clean, json_text, printable


def main(argv: Sequence[str] | None = None) -> int:
    """The entry point; returns the exit code. Exceptions other than `MldeployError` are defects and not caught."""
    open_closed_streams()
    words = list(sys.argv[1:] if argv is None else argv)
    as_json = wants_json(words)
    out = cast(TextIO, ResultStream(sys.stdout))
    context = Context(open_workspace, out=out, isatty=sys.stderr.isatty(), json=as_json)
    try:
        # Standard output is for the result alone: what the API prints goes to the error stream.
        with contextlib.redirect_stdout(PrintableStream(sys.stderr)):
            result = run(words, context=context)
        _print(result, context)
        if result.failure is None:
            return 0
        _print_error(result.failure, context)
        return _exit_code(result.failure)
    except MldeployError as error:
        _print_error(error, context)
        return _exit_code(error)
    except KeyboardInterrupt:
        sys.stderr.write("Interrupted.\n")
        return 130
    except BrokenPipeError:  # the reader closed the pipe (`| head`)
        return 141


def _exit_code(error: MldeployError) -> int:
    kinds = {WaitInterrupted: 130, UsageError: 2, RunInvalid: 3}
    return next((code for kind, code in kinds.items() if isinstance(error, kind)), 1)


def open_closed_streams() -> None:
    """Opens the null device instead of the standard streams that the caller has closed, as with `>&-`.

    Python has None for them, and the next file that is opened, such as the store, would get their descriptor.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:  # os.open takes the lowest free descriptor, which is that of the stream
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDWR), mode, encoding="utf-8"))


class _Wrapper(io.TextIOBase):
    """A stream over another one, which stays open when this one is closed, as by the garbage collector."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    def isatty(self) -> bool:
        return self.stream.isatty()

    def close(self) -> None:
        pass


class ResultStream(_Wrapper):
    """Standard output, where a write that fails is an error in three lines, such as of a full disk."""

    def write(self, text: str) -> int:
        with self._failures():
            return self.stream.write(text)

    def flush(self) -> None:
        with self._failures():
            self.stream.flush()

    @contextlib.contextmanager
    def _failures(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            # Python would try again when it closes the stream.
            os.dup2(os.open(os.devnull, os.O_WRONLY), self.stream.fileno())
            if isinstance(error, BrokenPipeError):
                raise
            raise MldeployError(
                "the result cannot be written",
                why=f"standard output: {(error.strerror or str(error)).lower()}",
                hint="the command itself was carried out; make room there, then see what there is: "
                "mldeploy service list",
                code="OutputFailed",
            ) from None


class PrintableStream(_Wrapper):
    """A stream that cleans what is printed to it, for what the API prints about files, models and packages."""

    def write(self, text: str) -> int:
        self.stream.write(printable(text))
        return len(text)

    def flush(self) -> None:
        self.stream.flush()


def _print(result: Result, context: Context) -> None:
    if context.json:
        context.out.write(json_text(result.data, indent=2) + "\n")
    elif result.text:
        context.out.write(_shown(result, context.out.isatty()) + "\n")
    context.out.flush()


def _shown(result: Result, on_terminal: bool) -> str:
    """The result's text as it is printed: logs and answers are data, which a pipe or a file gets unchanged."""
    if result.kind == "text":
        return printable(result.text)
    if not on_terminal:
        return result.text
    return clean(result.text) if result.kind == "log" else printable(result.text)


def _print_error(error: MldeployError, context: Context) -> None:
    if context.json:
        # The last line of the stream, so that programs find it after any notes.
        context.err.write(json_text({"error": error.as_dict()}) + "\n")
        return
    text = str(error)
    if use_colour(context.err, os.environ):
        text = text.replace("error:", "\x1b[31;1merror:\x1b[0m", 1)
    context.err.write(text + "\n")


def use_colour(stream: TextIO, environ: Mapping[str, Any]) -> bool:
    """Whether to use colour: on a terminal that is not dumb, unless NO_COLOR is set."""
    return stream.isatty() and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"


if __name__ == "__main__":
    sys.exit(main())
