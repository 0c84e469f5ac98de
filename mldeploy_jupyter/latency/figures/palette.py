"""Colours, dashes and markers: a line is told from another by all three, so that no picture needs colour alone.

The colours differ for readers without red or green, and have a contrast of 3 to 1 at least with their background.
"""

from __future__ import annotations

from dataclasses import dataclass

DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")  # in plotly's words
STROKES = ("", "6 4", "2 3", "8 3 2 3", "11 4", "11 3 2 3")  # the same as SVG has it
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "x")  # in plotly's words


@dataclass(frozen=True)
class Palette:
    """The colours of one theme, as CSS has them. `cells` go from the fewest requests to the most."""

    background: str
    text: str
    quiet: str
    line: str
    axis: str
    shade: str
    failure: str
    series: tuple[str, ...]
    parts: tuple[str, ...]
    cells: tuple[str, ...]


LIGHT = Palette(
    background="#ffffff",
    text="#212121",
    quiet="#595959",
    line="#e0e0e0",
    axis="#9e9e9e",
    shade="#f0f0f0",
    failure="#c43c00",
    series=("#0072b2", "#d55e00", "#007a5a", "#aa4499", "#806000", "#404040"),
    parts=("#bdbdbd", "#8a8a8a", "#d99a00", "#8ec7e8", "#0072b2", "#003a5c"),
    cells=("#e4f0f8", "#b4d6ec", "#76b4dc", "#3a8ec6", "#0f6aa8", "#064a7c", "#042c4c"),
)
DARK = Palette(
    background="#111111",
    text="#e6e6e6",
    quiet="#b0b0b0",
    line="#333333",
    axis="#757575",
    shade="#222222",
    failure="#ff8a5c",
    series=("#56b4e9", "#ff8a3d", "#2fc79a", "#e38bc4", "#e6c229", "#cfcfcf"),
    parts=("#5c5c5c", "#8c8c8c", "#e6b422", "#2c6a94", "#56b4e9", "#c4e4f8"),
    cells=("#132c40", "#17476a", "#1c6696", "#2a88c0", "#56b4e9", "#a2d6f4", "#eaf6fd"),
)

# In a page whose theme is not known: the variables of JupyterLab where it has them, and series that both themes bear.
PAGE = Palette(
    background="var(--jp-layout-color0, #ffffff)",
    text="var(--jp-ui-font-color1, #212121)",
    quiet="var(--jp-ui-font-color2, #595959)",
    line="var(--jp-border-color2, #e0e0e0)",
    axis="var(--jp-border-color1, #9e9e9e)",
    shade="var(--jp-layout-color2, #f0f0f0)",
    failure="#d55e00",
    series=("#2b83c0", "#d55e00", "#1a8f6c", "#b8629b", "#94740f", "#757575"),
    parts=("#9a9a9a", "#757575", "#c98d00", "#6fb0d8", "#2b83c0", "#1d5a86"),
    cells=("#a9cfe8", "#86bade", "#63a4d3", "#418fc8", "#2b7ab2", "#226292", "#194a70"),
)


def palette(dark: bool) -> Palette:
    """The colours on a dark or a light background."""
    return DARK if dark else LIGHT
