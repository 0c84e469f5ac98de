"""The server extension's settings, and what its routes share."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from traitlets import Bool, Float, Int, List, Unicode
from traitlets.config import LoggingConfigurable

from mldeploy_jupyter.lab.streams import Streams
from mldeploy_jupyter.lab.workers import Workers

if TYPE_CHECKING:
    from mldeploy_jupyter.panel import PanelContext, Subscription, Subscriptions
    from mldeploy_jupyter.panel.watching.watch import Send


class MldeployApp(LoggingConfigurable):
    """mldeploy in a Jupyter server. Set these in `jupyter_server_config.py`, such as `c.MldeployApp.enabled`."""

    enabled = Bool(True, help="Whether the routes of mldeploy are served.").tag(config=True)

    workspaces = List(
        Unicode(),
        help="Folders with a workspace that may be seen and changed here. By default all that this user has created "
        "or written to.",
    ).tag(config=True)

    poll_seconds = Float(
        0.5,
        min=0.1,
        help="Seconds between two checks of the workspaces while a page shows them; the page's setting may make it "
        "longer. Otherwise nothing is checked.",
    ).tag(config=True)

    max_body_bytes = Int(1_000_000, min=1000, help="Bytes that the body of a request may have.").tag(config=True)

    max_test_bytes = Int(
        70_000_000, min=1000, help="Bytes that the body of a test may have, which holds the input of a service."
    ).tag(config=True)

    max_threads = Int(
        16, min=1, help="Requests that are answered at the same time; half of it for those that wait for a service."
    ).tag(config=True)

    max_waiting = Int(200, min=0, help="Requests that wait for a thread; further ones are refused.").tag(config=True)

    max_streams = Int(100, min=1, help="Pages that may be connected at the same time.").tag(config=True)

    max_subscriptions = Int(1000, min=1, help="Subscriptions of all pages together.").tag(config=True)

    max_stream_bytes = Int(
        32_000_000,
        min=100_000,
        help="Bytes that may wait for a page that reads too slowly. Then its connection is ended; it connects again "
        "and continues where it was.",
    ).tag(config=True)

    base_image = Unicode(
        "",
        help="The base image of services that name none, here and in the kernels that this server starts, instead of "
        "the official one; {python} stands for the version. The same as MLDEPLOY_BASE_IMAGE.",
    ).tag(config=True)

    image_registry = Unicode(
        "",
        help="Where images are pushed, here and in the kernels that this server starts. The same as "
        "MLDEPLOY_IMAGE_REGISTRY.",
    ).tag(config=True)

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        settings = {"MLDEPLOY_BASE_IMAGE": self.base_image, "MLDEPLOY_IMAGE_REGISTRY": self.image_registry}
        os.environ.update({name: value for name, value in settings.items() if value})  # kernels inherit it
        self.quick = Workers("mldeploy-lab", self.max_threads, self.max_waiting)
        self.slow = Workers("mldeploy-lab-slow", max(1, self.max_threads // 2), self.max_waiting)
        self.streams = Streams(
            self._subscribe,
            self._describe_error,
            max_streams=self.max_streams,
            max_subscriptions=self.max_subscriptions,
            max_bytes=self.max_stream_bytes,
        )
        self._lock = threading.RLock()
        self._context: PanelContext | None = None
        self._subscriptions: Subscriptions | None = None

    @property
    def root(self) -> Path:
        """The folder that the file browser shows."""
        return Path(getattr(self.parent, "root_dir", "")).expanduser().absolute()

    @property
    def context(self) -> PanelContext:
        """What requests are answered with. The first call imports what answers need; make it in a thread."""
        with self._lock:
            if self._context is None:
                from mldeploy_jupyter.panel import PanelContext
                from mldeploy_jupyter.panel.packages import import_packages

                import_packages()
                self._context = PanelContext(**(self._named_workspaces() or self._folder_of_the_server()))
            return self._context

    def _subscribe(self, topic: Any, params: Any, send: Send, is_full: Callable[[], bool]) -> Subscription:
        """Subscribes for a page, as `Subscriptions.subscribe`. In a thread."""
        with self._lock:
            if self._subscriptions is None:
                from mldeploy_jupyter.panel import Subscriptions

                self._subscriptions = Subscriptions(self.context, poll_seconds=self.poll_seconds)
        return self._subscriptions.subscribe(topic, params, send, is_full)

    def _describe_error(self, error: Exception) -> dict[str, Any]:
        from mldeploy_jupyter.core.errors import MldeployError
        from mldeploy_jupyter.panel import describe_error

        if not isinstance(error, MldeployError):
            self.log.info("mldeploy: a subscription failed", exc_info=error)
        return describe_error(error, self.context)

    def _folder_of_the_server(self) -> dict[str, Any]:
        """The workspace and the scripts of the folder that the file browser shows.

        The workspace is the nearest above it. Without one, the first form that is sent makes it, as in a notebook.
        """
        from mldeploy_jupyter.api.workspace import Workspace
        from mldeploy_jupyter.panel.scripts import FolderScripts

        return {"own": Workspace(path=self.root), "scripts": FolderScripts(self.root)}

    def _named_workspaces(self) -> dict[str, Any]:
        """How the context finds the workspaces that `workspaces` names; {} for all known ones."""
        if not self.workspaces:
            return {}
        from mldeploy_jupyter.api.workspace import Workspace
        from mldeploy_jupyter.core.workspace.folder import FOLDER, list_broken_workspaces, list_workspaces

        paths = [Path(path).expanduser().absolute() for path in self.workspaces]
        roots = [path if path.name == FOLDER else path / FOLDER for path in paths]
        return {
            "known": lambda: [Workspace(path=folder.root) for folder in list_workspaces(roots=_existing(roots))],
            "broken": lambda: list_broken_workspaces(roots=_existing(roots)),
        }


def _existing(roots: list[Path]) -> list[Path]:
    return [root for root in roots if root.is_dir()]
