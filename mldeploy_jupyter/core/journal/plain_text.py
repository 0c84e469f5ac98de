"""A timeline as plain text, for terminals and for the text form of a notebook's output."""

from __future__ import annotations

import textwrap
from typing import Any

from mldeploy_jupyter.core.journal.timeline import StageView, Timeline
from mldeploy_jupyter.core.journal.wording import (
    MARKS,
    count_text,
    describe_state,
    elapsed_text,
    format_duration,
    last_output,
)
from mldeploy_jupyter.core.text import clean, display_width, fit, one_line

NAME_COLUMNS, TIME_COLUMNS, BAR_COLUMNS = 15, 10, 21
WRAPPED_COLUMNS = 24  # at least, for a detail of several lines


def render_text(
    timeline: Timeline,
    width: int = 80,
    colour: bool = False,
    unicode: bool = True,
    log_lines: int = 0,
    watching: bool = False,
    errors: bool = True,
    cancel: str = "",
) -> list[str]:
    """The lines of the terminal form, none wider than `width` columns unless a word cannot be broken.

    `log_lines` is the number of lines of the running stage's output shown below it. `watching` adds how to stop
    watching and, with the command `cancel`, how to cancel. `errors` False omits why a deployment failed, where the
    error itself is shown below. Stages that the plan does not have are omitted.
    """
    lines = [heading(timeline, width, unicode), ""]
    for stage in timeline.shown_stages:
        lines += stage_lines(stage, width, colour, unicode, output=not log_lines)
        if log_lines and stage.status == "Running":
            for line in stage.log[-log_lines:]:
                lines.append(_paint("     " + fit(one_line(line), width - 5, "…" if unicode else "..."), "2", colour))
    closing = closing_lines(timeline, width, colour) if errors or timeline.state != "Failed" else []
    if timeline.ended and closing:
        lines += ["", *closing]
    elif watching and timeline.service:
        command = cancel or f"mldeploy service cancel {one_line(timeline.service)}"
        text = f"Ctrl+C stops watching only. {command} cancels."
        lines += ["", _paint(fit(text, width), "2", colour)]
    return lines


def heading(timeline: Timeline, width: int = 80, unicode: bool = True, elapsed: bool = True) -> str:
    """Service, state, target and revision; with `elapsed`, also the time at the right, all cut to `width`."""
    left = f"{one_line(timeline.service) or 'service'}   {describe_state(timeline)}"
    if not elapsed:
        return left
    right = elapsed_text(timeline)
    left = fit(left, width - display_width(right) - 2, "…" if unicode else "...")
    return (left + " " * max(2, width - display_width(left) - display_width(right)) + right).rstrip()


def stage_lines(
    stage: StageView, width: int = 80, colour: bool = False, unicode: bool = True, output: bool = False
) -> list[str]:
    """One stage: mark, name, duration, detail; with `output`, also the last line that a running one printed.

    What continues is cut to one line, so that the height stays the same; how a stage ended is shown in full.
    """
    unicode_mark, ascii_mark, shade = MARKS[stage.status]
    mark = f" {unicode_mark} " if unicode else f"{ascii_mark} "
    is_dimmed = stage.status in ("Waiting", "Cancelled", "Not reached", "Not needed")
    took = format_duration(stage.seconds) if stage.status not in ("Waiting", "Not needed") else ""
    rest = f"{one_line(stage.title):<{NAME_COLUMNS}}{took:>{TIME_COLUMNS}}   "
    detail = _stage_detail(stage, unicode)
    if output and (line := last_output(stage)):
        detail = f"{detail}: {line}"
    indent = len(mark) + len(rest)
    is_wrapped = stage.status == "Done" and width - indent >= WRAPPED_COLUMNS
    details = _wrapped("", detail, width - indent) if is_wrapped else [detail]
    shown, *more = [fit(text, width - indent, "…" if unicode else "...") for text in details]
    rest += shown
    line = (_paint(mark + rest.rstrip(), shade, colour) if is_dimmed else _paint(mark, shade, colour) + rest).rstrip()
    return [line, *(" " * indent + text for text in more)]


def closing_lines(timeline: Timeline, width: int = 80, colour: bool = False) -> list[str]:
    """The end of a deployment: one line, or the cell's lines and `error:`, `cause:`, `hint:`; [] while it runs."""
    if timeline.state == "Live":
        where = f"Live at {one_line(timeline.scoring_uri)}" if timeline.scoring_uri else "Made"
        return [f"{where} after {format_duration(timeline.elapsed)}"]
    if timeline.state == "Failed":
        return cause_lines(timeline.cause or {}, width, colour)
    if timeline.state in ("Cancelled", "Interrupted"):
        message = one_line(timeline.message).rstrip(".")
        said = f": {message}" if message and message.lower() != timeline.state.lower() else ""
        serving = f" Revision {timeline.serving} is still serving." if timeline.serving else ""
        return _wrapped("", f"{timeline.state} after {format_duration(timeline.elapsed)}{said}.{serving}", width)
    return []


def cause_lines(cause: dict[str, Any], width: int = 80, colour: bool = False) -> list[str]:
    """A cause as text: the cell's lines with the one at fault marked, then `error:`, `cause:`, `hint:`."""
    lines = []
    for line in cause.get("excerpt") or []:
        mark, text = (">" if line.get("guilty") else " "), clean(str(line.get("text", "")), colour=False)
        lines.append(fit(f"{mark} {line.get('line', ''):>4}  {text.expandtabs(4)}".rstrip(), width))
    if lines:
        lines.append("")
    where = one_line(str(cause.get("where") or ""))
    why = one_line(str(cause.get("why") or ""))
    why = f"{why.rstrip('.')} ({where})" if why and where else why or where
    parts = {
        "error:": one_line(str(cause.get("what") or "")),
        "cause:": why,
        "hint:": one_line(str(cause.get("hint") or "")),
    }
    for label, text in parts.items():
        if text:
            first, *rest = _wrapped(f"{label} ", text, width)
            lines += [first.replace(label, _paint(label, "31", colour), 1) if label == "error:" else first, *rest]
    return lines


def _stage_detail(stage: StageView, unicode: bool) -> str:
    detail = one_line(stage.detail)
    if stage.status == "Waiting":
        return (
            f"last time {format_duration(stage.last_seconds)}"
            if stage.last_seconds is not None
            else detail or "waiting"
        )
    if stage.status == "Running":
        if stage.fraction is None:
            return detail or "running"
        done = round(min(1.0, max(0.0, stage.fraction)) * BAR_COLUMNS)
        full, empty = ("█", "░") if unicode else ("#", ".")
        return f"{full * done}{empty * (BAR_COLUMNS - done)} {round(stage.fraction * 100):>3} %  {detail}".rstrip()
    if stage.status == "Done":
        return ", ".join(part for part in (detail, count_text(stage.warnings, "warning")) if part)
    if stage.status == "Failed":
        return detail or "failed"
    return ", ".join(part for part in (stage.status.lower(), detail) if part)


def _wrapped(label: str, text: str, width: int) -> list[str]:
    indent = " " * len(label)
    lines = textwrap.wrap(
        text,
        max(20, width),
        initial_indent=label,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return lines or [label.rstrip()]


def _paint(text: str, shade: str, colour: bool) -> str:
    return f"\x1b[{shade}m{text}\x1b[0m" if colour and text else text
