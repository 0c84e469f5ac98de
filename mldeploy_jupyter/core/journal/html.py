"""A timeline as HTML for saved notebooks: no classes, colours or scripts, and styles only for layout."""

from __future__ import annotations

import re
from html import escape

from mldeploy_jupyter.core.journal.plain_text import cause_lines, closing_lines
from mldeploy_jupyter.core.journal.timeline import StageView, Timeline
from mldeploy_jupyter.core.journal.wording import (
    MARKS,
    count_text,
    describe_output,
    describe_state,
    elapsed_text,
    format_duration,
)
from mldeploy_jupyter.core.text import one_line

# A number and its unit, which a line break must not separate.
_QUANTITY = re.compile(r"(\d) (ms|s|min|h|kB|MB|GB|%)(?![A-Za-z0-9])")

# Jupyter's own style aligns every column to the right, and overrides the attribute `align`.
_TEXT, _NUMBER = 'style="text-align: left"', 'style="text-align: right"'

# As wide as most details, so that the table keeps its width while the deployment is in progress.
_DETAIL = 'style="text-align: left; min-width: 24em"'

# Aligned with the text of the table's cells, and of a cell's other outputs.
_LINE = 'style="margin: 8px"'

_HEADS = f"<th {_TEXT}>Stage</th><th {_TEXT}>State</th><th {_NUMBER}>Took</th><th {_DETAIL}>Detail</th>"


def render_html(timeline: Timeline, errors: bool = True) -> str:
    """A heading line, one table and one closing line, without classes, colours or scripts.

    `errors` and the choice of stages are as in `render_text`.
    """
    rows = "".join(_row(stage) for stage in timeline.shown_stages)
    mark = MARKS[timeline.state][0] + " " if timeline.state in MARKS else ""
    when = timeline.finished[:16].replace("T", " ")
    took = f", {'deployed ' if timeline.state == 'Live' else ''}{when} UTC in {elapsed_text(timeline)}" if when else ""
    head = f"<strong>{_html(timeline.service or 'service')}</strong> {mark}{_html(describe_state(timeline) + took)}"
    return (
        f"<p {_LINE}>{head}</p>\n<table>\n<thead><tr>{_HEADS}</tr></thead>\n<tbody>\n{rows}</tbody>\n</table>\n"
        f"<p {_LINE}>{_closing_html(timeline, errors)}</p>\n"
    )


def _row(stage: StageView) -> str:
    mark = MARKS[stage.status][0]
    warned = f", {count_text(stage.warnings, 'warning')}" if stage.warnings else ""
    took = format_duration(stage.seconds) if stage.status not in ("Waiting", "Not needed") else ""
    detail = describe_output(stage)
    return (
        f"<tr><td {_TEXT}>{_html(stage.title)}</td><td {_TEXT}>{mark} {stage.status.lower()}{warned}</td>"
        f"<td {_NUMBER}>{_html(took)}</td><td {_TEXT}>{_html(detail)}</td></tr>\n"
    )


def _closing_html(timeline: Timeline, errors: bool) -> str:
    see = f"<code>%services {_html(timeline.service)}</code>"
    if timeline.state == "Live":
        uri = f"<code>{_html(timeline.scoring_uri)}</code>"
        return f"Scoring URI: {uri}. Refresh with {see}."
    if timeline.state == "Failed" and not errors:
        return f"The error is shown below. Later: {see}."
    if timeline.state == "Failed":
        cause = {**(timeline.cause or {}), "excerpt": []}
        return "<br>".join(_html(line) for line in cause_lines(cause, width=10_000))
    if timeline.ended:
        return " ".join(_html(line) for line in closing_lines(timeline, 10_000))
    return f"Follows the deployment while this kernel runs. After reopening: {see}."


def _html(text: str) -> str:
    return _QUANTITY.sub("\\1&nbsp;\\2", escape(one_line(text)))
