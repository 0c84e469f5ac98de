"""The theme of the page that shows figures, such as JupyterLab's: a figure without a theme of its own gets it."""

from __future__ import annotations

_page_is_dark = False


def set_page_theme(dark: bool) -> None:
    """Sets the theme, as the page that sent a message last has it."""
    global _page_is_dark
    _page_is_dark = dark


def is_dark(dark: bool | None) -> bool:
    """Whether a figure is dark: `dark` if it is given, otherwise as the page is."""
    return _page_is_dark if dark is None else dark
