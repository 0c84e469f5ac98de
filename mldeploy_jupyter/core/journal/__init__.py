"""The journal of a deployment, the timeline it adds up to, and the forms in which a timeline is shown.

Imports only `core.text`.
"""

from __future__ import annotations

from mldeploy_jupyter.core.journal.html import render_html
from mldeploy_jupyter.core.journal.plain_text import (
    cause_lines,
    closing_lines,
    heading,
    render_text,
    stage_lines,
)
from mldeploy_jupyter.core.journal.timeline import StageView, Timeline, apply_event, fold, update_elapsed
from mldeploy_jupyter.core.journal.wording import format_duration

__all__ = [
    "StageView",
    "Timeline",
    "apply_event",
    "cause_lines",
    "closing_lines",
    "fold",
    "format_duration",
    "heading",
    "render_html",
    "render_text",
    "stage_lines",
    "update_elapsed",
]
