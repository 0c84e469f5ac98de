"""The timeline of a deployment: `fold` makes it from the journal, `render_text` and `render_html` draw it."""

from __future__ import annotations

from mldeploy_jupyter.core.journal.html import (
    cause_lines,
    closing_lines,
    duration,
    heading,
    render_html,
    render_text,
    stage_line,
)
from mldeploy_jupyter.core.journal.timeline import StageView, Timeline, apply, fold, tick

__all__ = [
    "StageView",
    "Timeline",
    "apply",
    "cause_lines",
    "closing_lines",
    "duration",
    "fold",
    "heading",
    "render_html",
    "render_text",
    "stage_line",
    "tick",
]
