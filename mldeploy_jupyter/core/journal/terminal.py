"""Shows a deployment in a terminal while it runs: `wait_for_deployment(show_output=True)` and the CLI.

On a terminal the timeline is redrawn in place; in any other stream, each stage that ends adds one line. Only the
journal is read, so interrupting the view never stops the deployment.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from mldeploy_jupyter.core.journal.journal import Event, follow_events
from mldeploy_jupyter.core.journal.plain_text import closing_lines, heading, render_text, stage_lines
from mldeploy_jupyter.core.journal.timeline import Timeline, apply_event, update_elapsed
from mldeploy_jupyter.core.text import display_width, strip_colours

REDRAW_SECONDS = 0.1  # least time between two drawings: readers need no more, and a flood of lines must not slow us

READ_SECONDS = 0.05  # time between two reads of the journal

LOG_LINES = 3  # last lines of the running stage's output that are shown


class Screen:
    """The stream a deployment is shown on.

    `out` defaults to standard output, `is_terminal` to what the stream says, `colour` to whether it is a terminal
    and NO_COLOR is not set. `size` returns columns and rows.
    """

    def __init__(
        self,
        out: IO[str] | None = None,
        *,
        is_terminal: bool | None = None,
        colour: bool | None = None,
        size: Callable[[], tuple[int, int]] = lambda: shutil.get_terminal_size((80, 24)),
    ) -> None:
        self._out = sys.stdout if out is None else out
        self.is_terminal = _is_terminal(self._out) if is_terminal is None else is_terminal
        self.colour = (self.is_terminal and "NO_COLOR" not in os.environ) if colour is None else colour
        self.size = size
        # StringIO has no encoding and takes every character.
        self._encoding = getattr(self._out, "encoding", None) or "utf-8"
        self.unicode = _can_encode("✓●○✗–█░…", self._encoding)

    def write(self, text: str) -> None:
        """Writes the text; characters that the stream's encoding lacks become escapes, so a log line never fails."""
        self._out.write(text.encode(self._encoding, "backslashreplace").decode(self._encoding))
        self._out.flush()


@dataclass(frozen=True)
class Clock:
    """Wall-clock time with its time zone, monotonic seconds, and sleeping for seconds."""

    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Any] = time.sleep


def follow_deployment(
    source: Path | Iterable[Event],
    screen: Screen | None = None,
    *,
    stop: Callable[[], bool] = lambda: False,
    errors: bool = True,
    cancel: str = "",
    clock: Clock | None = None,
) -> Timeline:
    """Shows a deployment until it ends or `stop()` returns true, and returns its timeline.

    `source` is the journal's file, or an iterable that yields events as they happen. `errors` False omits why the
    deployment failed, for a caller that raises the error. `cancel` is the command that cancels the deployment, by
    default `mldeploy service cancel NAME`. `KeyboardInterrupt` completes the drawing and is raised again; the
    deployment continues.
    """
    screen, clock = screen or Screen(), clock or Clock()
    timeline = Timeline()
    view: _LiveView | _LineView
    view = _LiveView(screen, timeline, clock.monotonic, cancel) if screen.is_terminal else _LineView(screen, timeline)

    def sleep_and_tick(seconds: float) -> None:
        # The running stage's time continues while no event arrives.
        update_elapsed(timeline, clock.now())
        view.redraw()
        clock.sleep(min(seconds, READ_SECONDS))

    if isinstance(source, Path):
        source = follow_events(source, stop=lambda: timeline.ended or stop(), sleep=sleep_and_tick)
    try:
        for event in _until_ended(source, timeline):
            apply_event(timeline, event)
            update_elapsed(timeline, clock.now())
            view.show_event(event)
    finally:
        view.close(errors or timeline.state == "Live")
    return timeline


def _until_ended(events: Iterable[Event], timeline: Timeline) -> Iterator[Event]:
    for event in events:
        yield event
        if timeline.ended:
            return


class _LiveView:
    """Draws the whole timeline over the previous drawing, at most every `REDRAW_SECONDS`."""

    def __init__(self, screen: Screen, timeline: Timeline, monotonic: Callable[[], float], cancel: str) -> None:
        self._screen = screen
        self._timeline = timeline
        self._monotonic = monotonic
        self._cancel = cancel
        self._drawn: list[str] = []
        self._drawn_at = float("-inf")

    def show_event(self, event: Event) -> None:
        self.redraw()

    def redraw(self) -> None:
        if self._timeline.seq and self._monotonic() - self._drawn_at >= REDRAW_SECONDS:
            self._draw(self._lines(watching=not self._timeline.ended))

    def close(self, closing: bool) -> None:
        if self._timeline.seq:
            lines = self._lines(watching=False)
            last = closing_lines(self._timeline, self._width(), self._screen.colour)
            if last and not closing:
                lines = lines[: -len(last) - 1]
            self._draw(lines)

    def _width(self) -> int:
        # Some terminals wrap as soon as the last column is written, so it stays empty.
        return max(20, self._screen.size()[0] - 1)

    def _lines(self, watching: bool) -> list[str]:
        lines = render_text(
            self._timeline,
            self._width(),
            self._screen.colour,
            self._screen.unicode,
            log_lines=0 if self._timeline.ended else LOG_LINES,
            watching=watching,
            cancel=self._cancel,
        )
        # Lines that have scrolled off the screen cannot be drawn over, so every drawing but the last must fit.
        return lines[: max(1, self._screen.size()[1] - 1)] if watching else lines

    def _draw(self, lines: list[str]) -> None:
        if lines == self._drawn:
            return
        # A terminal that became narrower has wrapped the old lines: move up by the rows they take now.
        columns = max(1, self._screen.size()[0])
        rows = sum(max(1, -(-display_width(strip_colours(line)) // columns)) for line in self._drawn)
        up = f"\x1b[{rows}A" if rows else ""
        body = "".join(f"\x1b[2K{line}\n" for line in lines)
        self._screen.write(f"{up}\r\x1b[J{body}" if up else body)
        self._drawn, self._drawn_at = lines, self._monotonic()


class _LineView:
    """Writes one line for each stage that ends."""

    def __init__(self, screen: Screen, timeline: Timeline) -> None:
        self._screen = screen
        self._timeline = timeline
        self._has_heading = False

    def show_event(self, event: Event) -> None:
        if not self._has_heading and self._timeline.service:
            self._has_heading = True
            self._write([heading(self._timeline, elapsed=False)])
        stage = self._timeline.stage(event.stage)
        if stage is not None and event.kind in ("finished", "failed"):
            self._write(stage_lines(stage, self._screen.size()[0], self._screen.colour, self._screen.unicode))

    def redraw(self) -> None:
        pass

    def close(self, closing: bool) -> None:
        if closing and self._timeline.ended:
            self._write(closing_lines(self._timeline, self._screen.size()[0], self._screen.colour))

    def _write(self, lines: list[str]) -> None:
        self._screen.write("".join(f"{line}\n" for line in lines))


def _is_terminal(out: IO[str]) -> bool:
    try:
        return bool(out.isatty())
    except (AttributeError, ValueError):  # not a stream of Python's own, or closed
        return False


def _can_encode(text: str, encoding: str) -> bool:
    try:
        text.encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return True
