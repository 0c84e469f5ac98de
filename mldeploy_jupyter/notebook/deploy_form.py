"""`deploy_form()`: the form that deploys a model, as a value of the notebook."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mldeploy_jupyter.notebook import extension
from mldeploy_jupyter.notebook.forms import LINES, show_form

if TYPE_CHECKING:
    from mldeploy_jupyter.api.workspace import Workspace


_ELSEWHERE = "The form needs a notebook in a browser. Type instead:"


class DeployForm:
    """A form that deploys a model, as a value that a notebook shows. Made by `deploy_form`."""

    def __init__(self, workspace: Workspace | None = None) -> None:
        self.workspace = workspace

    def __repr__(self) -> str:
        return f"DeployForm: {_ELSEWHERE} mldeploy model deploy -n NAME -m MODEL --es FILE"

    def _ipython_display_(self) -> None:
        from IPython.core.getipython import get_ipython

        shell = get_ipython()
        if shell is not None and getattr(shell, "kernel", None) is not None:
            extension.load(shell)  # the form offers magics
            if show_form(extension.loaded_session(shell), "deploy", workspace=self.workspace):
                return
            print(f"{_ELSEWHERE} {LINES['deploy']}")
        else:
            print(self)


def deploy_form(workspace: Workspace | None = None) -> DeployForm:
    """A form that deploys a model: model, entry script, environment, target and its settings.

    A notebook shows it where it is the last value of a cell, or with `display(form)`. It checks what is typed, shows
    the same as Python, magic and command, and becomes the panel of the new deployment. Elsewhere it says what to type.
    It loads the magics, as `%load_ext mldeploy_jupyter` does.

    `workspace` is where the service goes, by default the notebook's own.
    """
    return DeployForm(workspace)
