"""The theme of the page that shows figures, such as JupyterLab's: a figure without a theme of its own gets it."""

from __future__ import annotations

_page_is_dark = False


def set_page_theme(dark: bool) -> None:
    """Tells the theme of the page that spoke last."""
    global _page_is_dark
    _page_is_dark = dark


def is_dark(dark: bool | None) -> bool:
    """Whether a figure is dark, for which that was asked; None asks for the theme of the page."""
    return _page_is_dark if dark is None else dark
