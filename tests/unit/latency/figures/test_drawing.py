"""Charts as figures of plotly and as SVG: units, themes, sizes, and no colour alone."""

from __future__ import annotations

import itertools
import json
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from typing import Any

import pytest

from mldeploy_jupyter.latency.figures import Measured, draw_figure, draw_svg
from mldeploy_jupyter.latency.figures.palette import DARK, LIGHT, PAGE, Palette

from .runs import ramp, three_services, updated_service

RUNS: dict[str, Callable[[], Measured]] = {
    "spectrum": three_services, "ecdf": three_services, "heatmap": three_services, "parts": three_services,
    "ramp": ramp,
}  # fmt: skip
POINTS = 7000  # of a figure at most, the cells of a heatmap included


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("kind", RUNS)
def test_a_figure_is_small_and_every_hover_has_a_unit(kind: str, dark: bool) -> None:
    figure = draw_figure(kind, RUNS[kind](), dark)
    assert figure.layout.paper_bgcolor == (DARK if dark else LIGHT).background
    points = sum(len(trace.z.ravel()) if trace.type == "heatmap" else len(trace.x) for trace in figure.data)
    assert points <= POINTS
    assert len(figure.to_json()) < 120_000
    for trace in figure.data:
        assert re.search(r" ms\b| s<br>", trace.hovertemplate), trace.hovertemplate
        assert "<extra></extra>" in trace.hovertemplate
    titles = [axis.title.text for axis in (*figure.select_xaxes(), *figure.select_yaxes()) if axis.title.text]
    assert titles
    for axis in (*figure.select_xaxes(), *figure.select_yaxes()):
        if axis.ticktext:
            assert all(re.search(r"(ms| s| %|/s)$", text) for text in axis.ticktext), axis.ticktext


def test_lines_differ_by_dash_and_marker_as_well_as_by_colour() -> None:
    figure = draw_figure("spectrum", three_services())
    named = [trace for trace in figure.data if trace.showlegend is not False]
    assert len({trace.line.dash for trace in named}) == len({trace.line.color for trace in named}) == 3
    markers = [trace for trace in figure.data if trace.mode == "markers"]
    assert len({trace.marker.symbol for trace in markers}) == 3
    bars = draw_figure("parts", three_services()).data
    assert all(one.marker.pattern.shape != two.marker.pattern.shape for one, two in itertools.pairwise(bars))


def test_a_figure_is_saved_as_json_without_a_template() -> None:
    saved = json.loads(draw_figure("heatmap", updated_service()).to_json())
    assert len(json.dumps(saved["layout"]["template"])) < 100
    assert {trace["type"] for trace in saved["data"]} == {"heatmap"}


def test_a_figure_is_displayed_as_svg_where_nothing_knows_plotly() -> None:
    bundle = draw_figure("parts", three_services())._repr_mimebundle_()
    assert bundle["text/html"].startswith("<svg") and "application/vnd.plotly.v1+json" in bundle


@pytest.mark.parametrize("dark", [False, True, None])
@pytest.mark.parametrize("kind", RUNS)
def test_an_svg_is_whole_small_and_says_in_words_what_it_shows(kind: str, dark: bool | None) -> None:
    text = draw_svg(kind, RUNS[kind](), dark)
    root = ElementTree.fromstring(text)
    assert root.get("role") == "img" and len(root.get("aria-label") or "") > 30
    assert len(text) < 60_000
    assert "nan" not in text and "inf" not in text
    assert not re.search(r"<script|href=|https?://(?!www.w3.org/2000/svg)", text)
    assert ("var(--jp-" in text) is (dark is None)
    width = float((root.get("viewBox") or "").split()[2])
    for element in root.iter("{http://www.w3.org/2000/svg}text"):
        assert 0 <= float(element.get("x") or 0) <= width


def test_the_label_of_a_spectrum_has_its_percentiles() -> None:
    label = ElementTree.fromstring(draw_svg("spectrum", three_services())).get("aria-label") or ""
    assert re.search(r"diabetes: median 2\.\d\d ms, p90 \d\.\d\d ms, p95 .* ms, p99 \d\.\d\d ms\.", label), label
    assert "18 failed, of 2,000" in label


def test_names_are_text() -> None:
    measured = three_services(200)
    hostile = '<img src=x onerror="alert(1)">&'
    services = tuple(
        type(each)(f"{hostile}{at}", each.uri, target=each.target) for at, each in enumerate(measured.plan.services)
    )
    plan = type(measured.plan)(services, rate=100.0, duration=2.0)
    for kind in ("spectrum", "heatmap", "parts"):
        root = ElementTree.fromstring(draw_svg(kind, Measured(measured.samples, plan)))
        assert not list(root.iter("{http://www.w3.org/2000/svg}img")) and hostile in "".join(root.itertext())


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one: str, two: str) -> float:
    light, dark = sorted((luminance(one), luminance(two)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("palette", [LIGHT, DARK])
def test_lines_and_text_can_be_seen(palette: Palette) -> None:
    assert all(contrast(colour, palette.background) >= 3 for colour in palette.series), palette.series
    assert contrast(palette.quiet, palette.background) >= 4.5 and contrast(palette.quiet, palette.shade) >= 4.5
    assert contrast(palette.failure, palette.background) >= 4.5
    shades = [luminance(colour) for colour in palette.cells]
    assert shades == sorted(shades, reverse=palette is LIGHT)  # more requests stand out more


def test_lines_can_be_seen_in_a_page_of_either_theme() -> None:
    for background in (LIGHT.background, DARK.background):
        assert all(contrast(colour, background) >= 3 for colour in PAGE.series)


def no_colours(text: str) -> Any:
    return re.sub(r"#[0-9a-f]{6}|var\([^)]*\)", "", text)


def test_themes_differ_in_colours_only() -> None:
    measured = three_services(300)
    for kind in ("spectrum", "heatmap"):
        assert no_colours(draw_svg(kind, measured, False)) == no_colours(draw_svg(kind, measured, True))
