"""The gallery: every state of the panel with made-up services, built and served for a browser."""

from __future__ import annotations

import functools
import importlib.util
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType
from typing import Any

SOURCES = Path(__file__).parents[2] / "labextension"

# axe-core's rules: WCAG 2.0 to 2.2, A and AA, and what it calls best practice.
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]

# Each state is looked at by itself: landmarks and labels are unique in a page, not in a gallery. Of the rules only that
# about contrast depends on the theme.
AXE = """async (rules) => {
    // axe measures a place at one time and its neighbours at another: no clock may move them, nor a first layout.
    for (let timer = setInterval(() => {}, 1e9); timer > 0; timer--) clearInterval(timer);
    const drawn = () => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
    const gallery = document.getElementById('gallery');
    const heading = gallery.querySelector('h1');
    const found = [];
    for (const state of gallery.querySelectorAll('.state')) {
        gallery.replaceChildren(heading, state);
        await drawn();
        for (const theme of ['theme-light', 'theme-dark', 'theme-dark theme-contrast']) {
            document.body.className = theme;
            const runOnly = theme === 'theme-light' ? rules : { type: 'rule', values: ['color-contrast'] };
            const { violations } = await axe.run(document, { runOnly, resultTypes: ['violations'] });
            found.push(...violations.flatMap(({ id, impact, nodes }) => nodes.map((node) =>
                `${state.id}, ${theme}: ${id} (${impact}): ${node.target.join(' ')}: ${node.failureSummary}`)));
        }
    }
    return found;
}"""


def states(kinds: str = "panel|show|measured") -> list[str]:
    """The ids of the gallery's states, in its order; `sidebar` has those of the sidebar."""
    source = (SOURCES / "gallery" / "gallery.tsx").read_text("utf-8")
    return [title.replace(" ", "-") for title in re.findall(rf"^(?:{kinds})\('([^']+)'", source, re.MULTILINE)]


def build_gallery(folder: Path) -> None:
    """Builds the gallery, and axe-core beside it. The packages that this needs are installed first."""
    build_panel, node = _install_packages()
    build_panel.run(["node", "gallery/build.mjs", str(folder)], node, "the gallery could not be built")


def install_axe() -> Path:
    """The file of axe-core. The packages of the interface's tests are installed first."""
    _install_packages()
    return SOURCES / "node_modules" / "axe-core" / "axe.min.js"


def install_esbuild() -> Path:
    """The program esbuild. It is installed with all that the tests need: no other test removes it meanwhile."""
    _install_packages()
    return SOURCES / "node_modules" / ".bin" / "esbuild"


def find_node() -> Any:
    """Node and npm, as the build of the panel finds them: `environment`, and `npm`, the words of its command."""
    return _build_panel().find_node()


def _install_packages() -> tuple[ModuleType, Any]:
    build_panel = _build_panel()
    return build_panel, build_panel.install_packages(development=True)


def _build_panel() -> ModuleType:
    spec = importlib.util.spec_from_file_location("build_panel", SOURCES / "build_panel.py")
    assert spec and spec.loader
    build_panel = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(build_panel)
    return build_panel


@contextmanager
def serve(folder: Path) -> Iterator[str]:
    """The address of a web server for the folder."""
    handler = functools.partial(_QuietHandler, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/index.html"
        finally:
            server.shutdown()


class _QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *args: Any) -> None:
        pass
