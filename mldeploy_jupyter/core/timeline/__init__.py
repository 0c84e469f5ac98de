"""The timeline of a deployment: `fold` makes it from the journal, `render_text` and `render_html` draw it."""

from mldeploy_jupyter.core.timeline.folding import StageView, Timeline, apply, fold, tick
from mldeploy_jupyter.core.timeline.views import (
    cause_lines,
    closing_lines,
    duration,
    heading,
    render_html,
    render_text,
    stage_line,
)

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
