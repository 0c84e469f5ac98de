"""The panels of one session: which front end draws them, and how an output says what its panel is about.

An output is plain HTML, the timeline or the service as it was, because that is what a notebook saves. A page of
JupyterLab or Notebook 7 puts the panel beside it, as `labextension/src/page.ts` says; such a page needs one widget for
all panels of a kernel. Front ends whose outputs are frames of their own get a widget's view in the output itself. One
that can draw neither shows the HTML, which is kept up to date.
"""

from __future__ import annotations

import atexit
import json
import os
import sys
from contextlib import suppress
from html import escape
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from mldeploy_jupyter.core.imports import without_collections
from mldeploy_jupyter.latency.page_theme import set_page_theme
from mldeploy_jupyter.notebook.busy_kernel import EarlyConnector, states_by_comm, take_queued_messages
from mldeploy_jupyter.notebook.wording import in_magics

if TYPE_CHECKING:
    from mldeploy_jupyter.core.script.notebook_cells import CellRecord
    from mldeploy_jupyter.notebook.panel_connection import PanelConnection
    from mldeploy_jupyter.notebook.panel_widget import PanelWidget
    from mldeploy_jupyter.panel.scripts import Scripts

Bundle = dict[str, Any]

VIEW_MIME = "application/vnd.jupyter.widget-view+json"
PREPARE_SECONDS = 0.05  # after the cell that loaded the magics, when the imports begin: its output goes first
PREPARED = (  # what the first %deploy and its panel import, in this order: a third of a second
    "mldeploy_jupyter.notebook.timeline_view",
    "mldeploy_jupyter.api.webservices",
    "mldeploy_jupyter.targets.process",
    "sqlalchemy.dialects.sqlite",
)
WIDGET = "mldeploy_jupyter.notebook.panel_widget"
PREPARED_NEXT = (  # the widget that takes the connector over; what requests of a panel import beside it, and updates
    WIDGET,
    "mldeploy_jupyter.deployment.execution.execute",
    "mldeploy_jupyter.core.diagnosis",
    "mldeploy_jupyter.core.checked_connections",
    "packaging.requirements",
    "packaging.tags",
    "packaging.utils",
    "numpy.ma",
    "mldeploy_jupyter.panel.latency.reports",
    "mldeploy_jupyter.panel.latency.launch",
)

# page: the page puts panels beside the HTML. view: the output needs a widget's view, because it is a frame.
Place = Literal["page", "view"]


class ShownForm(Protocol):
    """A form in an output: its subject, and what it does once it was sent."""

    subject: dict[str, str]

    def begun(self, service: str, workspace: str, model: str) -> Any: ...


class Panels:
    """Marks outputs for panels, and connects the panels of this kernel.

    `cells` has what this session wrote to each script last, `timelines` the timelines that still change, `scripts` what
    a form knows of entry scripts, by default those of the current folder.
    """

    def __init__(
        self, shell: Any, cells: dict[Path, CellRecord], timelines: dict[str, Any], scripts: Scripts | None = None
    ) -> None:
        self._shell, self._cells, self._timelines, self._scripts = shell, cells, timelines, scripts
        self._connector: PanelWidget | EarlyConnector | None = None
        self._failed = False
        self._views: dict[str, PanelWidget] = {}  # by display id, in a front end that needs views
        self._forms: dict[str, ShownForm] = {}  # by display id
        self._subscriptions: Any = None
        self._context: Any = None
        self._to_import = [*PREPARED, *PREPARED_NEXT]
        self._is_preparing = False
        self.is_drawn = False  # whether a page has said that it draws the panels

    def prepare(self) -> None:
        """Imports what deployments and panels need while the kernel is idle, a module at a time.

        In the main thread: a cell that imports the same package at the same time as another thread may get half of it.
        """
        loop = self._loop()
        if loop is None or self._is_preparing:
            return
        self._is_preparing = True

        def import_next() -> None:
            self._import_next()
            if self._to_import:
                loop.call_later(0, import_next)

        loop.call_later(PREPARE_SECONDS, import_next)

    def _loop(self) -> Any:
        """The loop of a kernel, which runs what is prepared between two cells; None elsewhere."""
        return getattr(getattr(self._shell, "kernel", None), "io_loop", None)

    def _import_next(self) -> None:
        if isinstance(self._connector, EarlyConnector) and WIDGET not in self._to_import[1:]:
            self._to_import = [name for name in self._to_import if name != WIDGET]
            self._take_connector_over(self._connector)
        elif self._to_import:
            with suppress(Exception), without_collections():  # what needs it will meet an error again
                import_module(self._to_import.pop(0))

    def _take_connector_over(self, early: EarlyConnector) -> None:
        """Makes the widget of the connector's comm, by which a page that is loaded again finds it."""
        try:
            with without_collections(), states_by_comm():
                from mldeploy_jupyter.notebook.panel_widget import PanelWidget

                self._connector = PanelWidget(early)
        except (ImportError, OSError) as error:
            self._give_up(error)
            early.close()
            self._connector = None

    def open(self) -> None:
        """Connects the page, which loads the panels' module while the kernel begins a deployment."""
        self._connect()

    @property
    def can_draw(self) -> bool:
        """Whether this kernel has what draws a panel. A front end may lack it all the same."""
        return self._connect() is not None

    def workspace(self, id: str) -> Any:
        """The workspace with this id; "" is the notebook's own."""
        return self._context.workspace(id)

    def mark_form(self, bundle: Bundle, form: ShownForm, display_id: str) -> Bundle:
        """The bundle of an output marked for the form, in a front end that needs one with a widget's view."""
        self._forms[display_id] = form
        return self._add_view(self._mark(bundle, form.subject), form.subject, display_id)

    def mark(self, bundle: Bundle, service: Any, begins: bool = False) -> Bundle:
        """The bundle with a mark for the panel of the service's last deployment; as it is where nothing can draw it.

        When the deployment `begins`, the mark has its timeline, so that the panel waits for nothing before it draws.
        """
        if self._connect() is None:
            return bundle
        subject: dict[str, Any] = _subject(service)
        timeline = self._read_timeline(service) if begins else None
        return self._mark(bundle, subject if timeline is None else {**subject, "timeline": timeline})

    def _mark(self, bundle: Bundle, subject: dict[str, Any]) -> Bundle:
        connector = self._connect()
        if connector is None:
            return bundle
        marker = json.dumps({"kernel": connector.panel_id, **subject})
        return {**bundle, "text/html": f'<div data-mldeploy="{escape(marker)}">\n{bundle["text/html"]}</div>\n'}

    def mark_run(self, bundle: Bundle, subject: dict[str, str], display_id: str) -> Bundle:
        """The bundle marked for the view of a latency run, in a front end that needs one with a widget's view.

        `subject` names service, workspace and `latency`, the run.
        """
        return self._add_view(self._mark(bundle, subject), subject, display_id)

    def mark_below(self, bundle: Bundle) -> Bundle:
        """The bundle marked as what a panel in the same cell says, too."""
        return {**bundle, "text/html": f"<div data-mldeploy-more>\n{bundle['text/html']}</div>\n"}

    def add_view(self, bundle: Bundle, service: Any, display_id: str, begins: bool = False) -> Bundle:
        """The bundle with a widget's view, in a front end that needs one. `begins` is as in `mark`."""
        return self._add_view(bundle, _subject(service), display_id, service if begins else None)

    def _add_view(self, bundle: Bundle, subject: dict[str, str], display_id: str, begun: Any = None) -> Bundle:
        if self._failed or find_place(self._shell.user_ns) != "view":
            return bundle
        if display_id not in self._views:
            timeline = self._read_timeline(begun) if begun is not None else None
            view = self._make_widget(**subject, timeline=json.dumps(timeline) if timeline else "")
            if view is None:
                return bundle
            self._views[display_id] = view
        elif self._views[display_id].form and "form" not in subject:  # it was sent: the next view is of the service
            self._views[display_id].set_trait("form", "")
            for name, value in subject.items():
                self._views[display_id].set_trait(name, value)
        model_id = self._views[display_id].model_id
        return {VIEW_MIME: {"model_id": model_id, "version_major": 2, "version_minor": 0}, **bundle}

    def take_queued(self) -> None:
        """Handles messages of panels that wait for the running cell to end, such as a click on Cancel.

        The cell waits, so there is time for an import, too.
        """
        self._import_next()
        kernel = getattr(self._shell, "kernel", None)
        widgets = {widget.model_id: widget for widget in [self._connector, *self._views.values()] if widget is not None}
        if kernel is None or not widgets:
            return

        def take(comm_id: str, data: Any) -> bool:
            widget = widgets.get(comm_id)
            if widget is None or not isinstance(data, dict) or data.get("method") != "custom":
                return False
            widget.receive(data.get("content"))
            return True

        take_queued_messages(kernel, take)

    def close(self) -> None:
        """Closes every panel. Deployments and services continue."""
        atexit.unregister(self._end)
        for widget in [self._connector, *self._views.values()]:
            if widget is not None:
                if widget.connection is not None:
                    widget.connection.close()
                widget.close()
        self._connector, self._views = None, {}

    def _end(self) -> None:
        """At the end of the kernel: outputs get their last, true text, without a widget's view."""
        with suppress(Exception):
            self._views.clear()
            self._failed = True  # no more views
            for view in list(self._timelines.values()):
                view.finish()

    def _connect(self) -> PanelWidget | EarlyConnector | None:
        if self._connector is None and not self._failed:
            # Where ipywidgets is there already, or an output needs the widget's view, there is little to gain.
            early = self._loop() is not None and "ipywidgets" not in sys.modules
            early = early and find_place(self._shell.user_ns) == "page"
            self._connector = self._make_early() if early else self._make_widget()
        return self._connector

    def _make_early(self) -> EarlyConnector | None:
        """The connector of a page, which loads the panel's module while this imports what answers it."""
        early = None
        try:
            early = EarlyConnector(os.urandom(8).hex())
            self._import(PREPARED)
            early.connection = self._make_connection(early.send)
        except (ImportError, OSError) as error:
            self._give_up(error)
            if early is not None:
                early.close()
            return None
        self.prepare()  # at the latest after this cell, the widget takes it over
        return early

    def _make_widget(self, **ids: str) -> PanelWidget | None:
        """A widget with its connection; None where it cannot be made, and no other is tried."""
        try:
            self._import((*PREPARED, WIDGET))
            from mldeploy_jupyter.notebook.panel_widget import PanelWidget

            widget = PanelWidget(None, **ids)
            widget.connection = self._make_connection(widget.send)
            return widget
        except (ImportError, OSError) as error:
            self._give_up(error)
            return None

    def _import(self, names: tuple[str, ...]) -> None:
        """Imports in this thread what the threads that answer a page need."""
        with without_collections():
            for name in names:
                import_module(name)

    def _make_connection(self, send: Any) -> PanelConnection:
        from mldeploy_jupyter.notebook.panel_connection import PanelConnection
        from mldeploy_jupyter.panel import Subscriptions

        if self._context is None:
            self._context = self._make_context()
            self._subscriptions = Subscriptions(self._context)
            atexit.register(self._end)
        return PanelConnection(
            self._context,
            self._subscriptions,
            send,
            on_hello=self._on_hello,
            on_theme=self._on_theme,
            on_begun=self._on_begun,
        )

    def _give_up(self, error: Exception) -> None:
        """There are no panels: no anywidget here, or a checkout whose panel is not built."""
        import logging

        logging.getLogger(__name__).info("outputs are without panels", exc_info=error)
        self._failed = True

    def _read_timeline(self, service: Any) -> dict[str, Any] | None:
        """The timeline of a deployment that has just begun; None when it cannot be read, and the panel asks for it."""
        from mldeploy_jupyter.panel.deployments.timelines import find_deployment, read_timeline

        with suppress(Exception):
            subject = _subject(service)
            found = find_deployment(self._context, subject["deployment"], subject["workspace"], refresh=False)
            return read_timeline(self._context, found)
        return None

    def _make_context(self) -> Any:
        from mldeploy_jupyter.api.workspace import Workspace
        from mldeploy_jupyter.commands.workspace import open_workspace
        from mldeploy_jupyter.core.errors import MldeployError, WorkspaceError
        from mldeploy_jupyter.core.store.database import import_driver
        from mldeploy_jupyter.panel import PanelContext
        from mldeploy_jupyter.panel.scripts import FolderScripts

        try:
            own = open_workspace(None, announce=lambda line: None)
        except WorkspaceError:
            own = Workspace()  # its folder is made by the first form that is sent
        with suppress(MldeployError):
            if (folder := own.find_folder()) is not None:
                import_driver(folder.store_url)
        return PanelContext(
            own,
            words=in_magics,
            cell_number=self._cell_number,
            scripts=self._scripts or FolderScripts(),
        )

    def _cell_number(self, file: str, number: int | None) -> int | None:
        """The number in the prompt of the cell that wrote this script last; the earlier one after a restart."""
        record = self._cells.get(Path(file))
        return record.execution_count if record is not None else number

    def _on_hello(self, page: str) -> None:
        self.is_drawn = True

    def _on_theme(self, dark: bool) -> None:
        set_page_theme(dark)

    def _on_begun(self, display_id: str, begun: dict[str, Any]) -> None:
        form = self._forms.get(display_id)
        if form is not None:
            form.begun(*(str(begun.get(name) or "") for name in ("service", "workspace", "model")))


def find_place(namespace: dict[str, Any], environ: Any = os.environ) -> Place:
    """Where panels are drawn: in VS Code, Colab and PyCharm each output is a frame, which only a view can fill."""
    in_frames = "__vsc_ipynb_file__" in namespace or "google.colab" in sys.modules
    return "view" if in_frames or any(name in environ for name in ("VSCODE_PID", "PYCHARM_HOSTED")) else "page"


def _subject(service: Any) -> dict[str, str]:
    return {
        "service": service.name,
        "workspace": service.workspace.folder.id,
        "deployment": service.deployment_id,
    }
