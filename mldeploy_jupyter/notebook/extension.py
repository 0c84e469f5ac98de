"""`%load_ext mldeploy_jupyter`: adds the magics to a shell, and removes them.

Loading must be fast, so heavy packages are imported only when a magic runs.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mldeploy_jupyter.core.errors import MldeployError, translate_hints
from mldeploy_jupyter.core.imports import without_collections
from mldeploy_jupyter.core.text import in_ipython_words

if TYPE_CHECKING:
    from mldeploy_jupyter.notebook.session import Session


_KEY = "_mldeploy_session"  # the attribute of the shell that holds the session


def load(shell: Any, *, platform: str = sys.platform) -> None:
    """Adds the magics, their completion, and the display of services and models. A second call changes nothing.

    Raises `MldeployError` on native Windows.
    """
    if platform == "win32":
        raise MldeployError(
            "mldeploy does not run on native Windows",
            why="its local services hand sockets from process to process, which Windows cannot do",
            hint="run Jupyter in WSL 2, then %load_ext mldeploy_jupyter",
            code="PlatformNotSupported",
        )
    if not is_loaded(shell):
        with without_collections():
            _add(shell)


def _add(shell: Any) -> None:
    from mldeploy_jupyter.notebook.completion import Matcher
    from mldeploy_jupyter.notebook.forms import SessionScripts
    from mldeploy_jupyter.notebook.magics import magics
    from mldeploy_jupyter.notebook.session import Session
    from mldeploy_jupyter.notebook.views import add_formatters
    from mldeploy_jupyter.notebook.wording import in_magics

    session = Session(shell)
    session.scripts = SessionScripts(session)
    table = magics(session)
    for magic in table:
        _register(session, magic)
    add_formatters(session)
    session.matcher = Matcher(session, table)
    shell.Completer.custom_matchers.append(session.matcher)
    session.on_cell_end = lambda *_: session.refresh_timelines()
    shell.events.register("post_run_cell", session.on_cell_end)
    if session.panels is not None:
        session.panels.prepare()
    translate_hints(in_magics)
    setattr(shell, _KEY, session)


def is_loaded(shell: Any) -> bool:
    """Whether the magics are in the shell."""
    return getattr(shell, _KEY, None) is not None


def loaded_session(shell: Any) -> Session:
    """The session of a shell that has the magics."""
    session: Session = getattr(shell, _KEY)
    return session


def unload(shell: Any) -> None:
    """Removes what `load` added. Deployments and services continue."""
    session = getattr(shell, _KEY, None)
    if session is None:
        return
    from mldeploy_jupyter.notebook.views import remove_formatters

    translate_hints(in_ipython_words)
    for magic in session.matcher.magics:
        for kind in ("line", "cell"):
            shell.magics_manager.magics[kind].pop(magic.name, None)
    remove_formatters(session)
    shell.Completer.custom_matchers.remove(session.matcher)
    shell.events.unregister("post_run_cell", session.on_cell_end)
    session.close_panels()
    setattr(shell, _KEY, None)


def _register(session: Session, magic: Any) -> None:
    from IPython.core.magic import needs_local_scope, no_var_expand

    from mldeploy_jupyter.notebook.dispatch import run_magic

    def run(line: str, cell: str | None = None, local_ns: Mapping[str, Any] | None = None) -> Any:
        return run_magic(session, magic, line, cell, local_ns)

    if magic.kind == "line":
        function: Any = lambda line, local_ns=None: run(line, None, local_ns)  # noqa: E731
    elif magic.kind == "cell":
        function = lambda line, cell, local_ns=None: run(line, cell, local_ns)  # noqa: E731
    else:
        function = run
    needs_local_scope(function)  # in a function, its variables count as well as the notebook's
    function.__name__ = magic.name
    function.__qualname__ = f"%{magic.name}"
    function.__doc__ = magic.summary
    function.getdoc = lambda: magic.doc  # IPython asks for it when it shows %NAME?; making it takes imports
    if magic.words is not None:  # its line holds Python; IPython must not expand its braces
        function = no_var_expand(function)
    session.shell.register_magic_function(function, magic.kind, magic.name)
