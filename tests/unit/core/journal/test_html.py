"""A timeline as HTML, pinned by snapshots."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest

from mldeploy_jupyter.core.journal import fold, render_html, render_text
from tests.unit.core.journal.journals import JOURNALS, begun


@pytest.mark.parametrize("name", ["running", "live", "failed", "cancelled"])
def test_render_html(name, snapshot):
    assert render_html(fold(JOURNALS[name].events)) == snapshot


def test_html_has_one_heading_one_table_and_one_line_and_escapes_all_text():
    evil = '<script>alert("x")</script>\x1b[31m&'
    w = begun(service=evil).stage(0, 1, "check", evil)
    w.at(2, "", "state", evil, state="failed", cause={"what": evil, "why": evil, "hint": evil, "where": evil})
    html = render_html(fold(w.events))
    seen: list[tuple[str, list]] = []
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, attrs: seen.append((tag, attrs))
    parser.feed(html)
    tags = [tag for tag, _ in seen]
    assert set(tags) <= {"p", "strong", "table", "thead", "tbody", "tr", "th", "td", "br", "code"}
    assert (tags.count("p"), tags.count("table"), tags.count("tr")) == (2, 1, 7)
    values = {"text-align: left", "text-align: right", "text-align: left; min-width: 24em", "margin: 8px"}
    assert {attribute for _, attrs in seen for attribute in attrs} == {("style", value) for value in values}
    assert "\x1b" not in html and "<script" not in html


def test_a_running_stage_shows_the_last_line_that_its_script_printed():
    w = begun().at(1, "rollout", "started").at(2, "rollout", "log", "epoch 3 of <10>").at(3, "rollout", "log", " ")
    assert "epoch 3 of &lt;10&gt;</td>" in render_html(fold(w.events))
    assert "running: epoch 3 of <10>" in "\n".join(render_text(fold(w.events)))
    assert "epoch" not in render_html(fold(w.at(4, "rollout", "finished").events))
