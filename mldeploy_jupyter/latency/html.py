"""A run and a comparison as HTML: a table and the verdict, in the colours of the page that shows them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from mldeploy_jupyter.latency.statistics import QUANTILES, percentile_name
from mldeploy_jupyter.latency.text import describe_rate, describe_share
from mldeploy_jupyter.latency.verdict import format_milliseconds

_CELL = "text-align:right;padding:2px 10px;white-space:nowrap;font-variant-numeric:tabular-nums"
_HEAD = f"{_CELL};border-bottom:1px solid var(--jp-border-color1,#bdbdbd);font-weight:600"
_NOTE = "color:var(--jp-ui-font-color2,#616161)"


def comparison_html(head: Sequence[str], cells: Sequence[Sequence[str]], lines: Sequence[str]) -> str:
    """A comparison: its table, then its sentences."""
    table = _table(head, cells, "95 % intervals and p-values by a bootstrap over blocks, corrected (Holm)")
    return f'<div class="mldeploy-latency">{table}{_list(lines)}</div>'


def run_html(rows: Sequence[Mapping[str, Any]], caption: str, lines: Sequence[str]) -> str:
    """The percentiles of each service with their intervals, rates and errors, then the verdict."""
    names = [percentile_name(quantile) for quantile in QUANTILES]
    names = [name for name in names if any(row[name] is not None for row in rows)]
    head = ["service", "requests", "rate", "errors", *names]
    cells = []
    for row in rows:
        shown = [row["service"], f"{row['requests']:,}", describe_rate(row["rate_reached"])]
        shown.append(describe_share(row["errors"], row["requests"]))
        for name in names:
            low, high = row[f"{name}_low"], row[f"{name}_high"]
            span = f"{format_milliseconds(low)} to {format_milliseconds(high)}" if low and high else ""
            shown.append(f"{format_milliseconds(row[name])}\n{span}" if row[name] is not None else "-")
        cells.append(shown)
    below = "from when a request was due; below each percentile its 95 % interval"
    table = _table(head, cells, f"{caption}; {below}") if cells else ""
    return f'<div class="mldeploy-latency">{table}{_list(lines)}</div>'


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], caption: str) -> str:
    first = _HEAD.replace("right", "left")
    top = "".join(
        f'<th scope="col" style="{_HEAD if place else first}">{escape(name)}</th>' for place, name in enumerate(head)
    )
    body = "".join(f"<tr>{''.join(_cell(cell, place) for place, cell in enumerate(row))}</tr>" for row in rows)
    note = f'<caption style="{_NOTE};text-align:left;caption-side:bottom;padding:4px 10px">{_text(caption)}</caption>'
    return f'<table style="border-collapse:collapse">{note}<thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>'


def _text(text: str) -> str:
    """Escaped, and each number in one line with its unit."""
    return escape(re.sub(r"(?<=\d) (?=(?:%|ms|s|µs)(?!\w))", "\xa0", text))


def _cell(text: str, place: int) -> str:
    if not place:
        return f'<th scope="row" style="{_CELL.replace("right", "left")};font-weight:400">{escape(text)}</th>'
    value, _, below = text.partition("\n")
    small = f'<br><small style="{_NOTE}">{escape(below)}</small>' if below else ""
    return f'<td style="{_CELL}">{escape(value)}{small}</td>'


def _list(lines: Sequence[str]) -> str:
    return f"<ul>{''.join(f'<li>{_text(line)}</li>' for line in lines)}</ul>" if lines else ""
