"""Shows a deployment as it runs: `wait_for_deployment(show_output=True)` and the CLI.

On a terminal the timeline is redrawn in place; elsewhere every finished stage is one line. It only reads the
journal, so stopping it stops nothing else.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from mldeploy_jupyter.core.journal import Timeline, apply, closing_lines, heading, render_text, stage_line, tick
from mldeploy_jupyter.core.journal.journal import Event, follow_events
from mldeploy_jupyter.core.text import display_width, strip_colours

REDRAW_SECONDS = 0.1  # a quicker eye than this is not needed, and a log flood must not slow the reader

LOG_LINES = 3


def follow(
    path_or_events: Path | Iterable[Event],
    *,
    out: IO[str] | None = None,
    stop: Callable[[], bool] = lambda: False,
    isatty: bool | None = None,
    colour: bool | None = None,
    size: Callable[[], tuple[int, int]] = lambda: shutil.get_terminal_size((80, 24)),
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    clock: Callable[[], float] = time.monotonic,
    wait: Callable[[float], Any] = time.sleep,
    errors: bool = True,
    cancel: str = "",
) -> Timeline:
    """Shows the deployment of a journal until it ends or `stop()` says so, and returns its timeline.

    `path_or_events` is the journal's file, or events that come as they happen. `isatty` and `colour` default to
    what `out` is (no colour where NO_COLOR is set), `size` to the terminal's columns and rows, `out` to
    standard output.
    `cancel` is the command that ends the deployment, where it is not `mldeploy service cancel NAME`.
    `errors` False leaves out how a deployment failed, for a caller that raises the error and so shows it itself.
    `KeyboardInterrupt` leaves the drawing whole and is raised again: only the watching ends.
    """
    out = sys.stdout if out is None else out
    isatty = _isatty(out) if isatty is None else isatty
    colour = (isatty and "NO_COLOR" not in os.environ) if colour is None else colour
    timeline = Timeline()
    view: _Redrawn | _Lines
    if isatty:
        view = _Redrawn(out, timeline, colour=colour, size=size, clock=clock, cancel=cancel)
    else:
        view = _Lines(out, timeline, colour=colour, size=size)

    def looked(seconds: float) -> None:
        # Between two looks at the file the running stage's time counts on.
        tick(timeline, now())
        view.idle()
        wait(min(seconds, 0.05))

    events: Iterable[Event] = path_or_events if not isinstance(path_or_events, Path) else ()
    if isinstance(path_or_events, Path):
        ended = lambda: timeline.ended or stop()  # noqa: E731
        events = follow_events(path_or_events, stop=ended, wait=looked)
    try:
        for event in _until_ended(events, timeline):
            apply(timeline, event)
            tick(timeline, now())
            view.changed(event)
    finally:
        view.close(errors or timeline.state == "Live")
    return timeline


def _until_ended(events: Iterable[Event], timeline: Timeline) -> Iterator[Event]:
    for event in events:
        yield event
        if timeline.ended:
            return


class _Redrawn:
    """Draws the whole timeline over the last drawing, at most every `REDRAW_SECONDS`."""

    def __init__(
        self,
        out: IO[str],
        timeline: Timeline,
        *,
        colour: bool,
        size: Callable[[], tuple[int, int]],
        clock: Callable[[], float],
        cancel: str = "",
    ) -> None:
        self._out, self._timeline, self._colour, self._size = out, timeline, colour, size
        self._cancel = cancel
        self._clock, self._drawn_at = clock, float("-inf")
        self._unicode = _has_unicode(out)
        self._drawn: list[str] = []

    def changed(self, event: Event) -> None:
        self.idle()

    def idle(self) -> None:
        if self._timeline.seq and self._clock() - self._drawn_at >= REDRAW_SECONDS:
            self._draw(self._lines(watching=not self._timeline.ended))

    def close(self, closing: bool) -> None:
        if self._timeline.seq:
            lines = self._lines(watching=False)
            last = closing_lines(self._timeline, self._width(), self._colour)
            if last and not closing:
                lines = lines[: -len(last) - 1]
            self._draw(lines)

    def _width(self) -> int:
        # The last column is left free: some terminals wrap as soon as it is written.
        return max(20, self._size()[0] - 1)

    def _lines(self, watching: bool) -> list[str]:
        running = LOG_LINES if not self._timeline.ended else 0
        lines = render_text(
            self._timeline, self._width(), self._colour, self._unicode, running, watching, cancel=self._cancel
        )
        # What has scrolled out of the screen cannot be drawn over, so all but the last drawing must fit.
        return lines[: max(1, self._size()[1] - 1)] if watching else lines

    def _draw(self, lines: list[str]) -> None:
        if lines == self._drawn:
            return
        # A terminal made narrower has wrapped the old lines: go up by the rows they take now.
        columns = max(1, self._size()[0])
        rows = sum(max(1, -(-display_width(strip_colours(line)) // columns)) for line in self._drawn)
        up = f"\x1b[{rows}A" if rows else ""
        body = "".join(f"\x1b[2K{line}\n" for line in lines)
        self._out.write(_writable(f"{up}\r\x1b[J{body}" if up else body, self._out))
        self._out.flush()
        self._drawn, self._drawn_at = lines, self._clock()


class _Lines:
    """One line for each stage that ends."""

    def __init__(self, out: IO[str], timeline: Timeline, *, colour: bool, size: Callable[[], tuple[int, int]]) -> None:
        self._out, self._timeline, self._colour, self._size = out, timeline, colour, size
        self._unicode = _has_unicode(out)
        self._headed = False

    def changed(self, event: Event) -> None:
        if not self._headed and self._timeline.service:
            self._headed = True
            self._write([heading(self._timeline, elapsed=False)])
        stage = self._timeline.stage(event.stage)
        if stage is not None and event.kind in ("finished", "failed"):
            self._write([stage_line(stage, self._size()[0], self._colour, self._unicode)])

    def idle(self) -> None:
        pass

    def close(self, closing: bool) -> None:
        if closing and self._timeline.ended:
            self._write(closing_lines(self._timeline, self._size()[0], self._colour))

    def _write(self, lines: list[str]) -> None:
        self._out.write(_writable("".join(f"{line}\n" for line in lines), self._out))
        self._out.flush()


def _isatty(out: IO[str]) -> bool:
    try:
        return bool(out.isatty())
    except (AttributeError, ValueError):
        return False


def _encoding(out: IO[str]) -> str:
    # StringIO has no encoding and takes everything.
    return getattr(out, "encoding", None) or "utf-8"


def _has_unicode(out: IO[str]) -> bool:
    try:
        "✓●○✗–█░…".encode(_encoding(out))
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def _writable(text: str, out: IO[str]) -> str:
    """The text with what the stream's encoding lacks as escapes: a log line must not end the watching."""
    encoding = _encoding(out)
    return text.encode(encoding, "backslashreplace").decode(encoding)
