"""v1's `RunDetails`: shows a run below a notebook's cell."""

from __future__ import annotations

import sys
from typing import Any

from mldeploy_jupyter.core.errors import UserErrorException


class RunDetails:
    """What `show()` shows of a run: state, times, metrics, tags and files.

    Raises `UserErrorException` for what is not a run.
    """

    def __init__(self, run_instance: Any) -> None:
        if not hasattr(type(run_instance), "get_details"):
            raise UserErrorException(
                f"{run_instance!r} is not a run",
                why="RunDetails shows a Run",
                hint="run = experiment.start_logging(), then RunDetails(run).show()",
            )
        self.run = run_instance

    def show(self, render_lib: Any = None, widget_settings: Any = None) -> None:
        """Shows the run as it is now: a table in a notebook, text elsewhere. The parameters are v1's."""
        from mldeploy_jupyter.notebook.views import run_bundle

        bundle = run_bundle(self.run)
        shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
        if shell is None:
            print(bundle["text/plain"])
            return
        shell.display_pub.publish(bundle)

    def get_widget_data(self, widget_settings: Any = None) -> dict[str, Any]:
        """`run.get_details()` with the metrics below `metrics`."""
        return {**self.run.get_details(), "metrics": self.run.get_metrics()}
