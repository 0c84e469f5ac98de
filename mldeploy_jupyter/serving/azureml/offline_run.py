"""v1's run outside of an experiment, which `Run.get_context()` gives a script that was not submitted."""

from __future__ import annotations

from typing import Any


class OfflineRun:
    """Prints what a script logs, so that it is in the service's log. The rest has no effect or does not exist."""

    id = identity = "OfflineRun"

    def log(self, name: str, value: Any, description: str = "", step: Any = None) -> None:
        """Prints the metric, as do the methods below that log."""
        print(f"{name}: {value}")

    log_list = log_table = log_image = log_confusion_matrix = log_accuracy_table = log_predictions = log_residuals = log

    def log_row(self, name: str, description: str | None = None, **columns: Any) -> None:
        """Prints the row."""
        self.log(name, columns)

    def tag(self, *args: Any, **kwargs: Any) -> None:
        """Has no effect, as those below: a service keeps no runs."""

    set_tags = remove_tags = add_properties = complete = fail = cancel = flush = start = tag
    upload_file = upload_files = upload_folder = tag

    def child_run(self, name: str | None = None, run_id: str | None = None, outputs: Any = None) -> OfflineRun:
        """Another offline run."""
        return OfflineRun()

    def __enter__(self) -> OfflineRun:
        return self

    def __exit__(self, *error: object) -> None:
        """Has no effect."""


_OfflineRun = OfflineRun  # v1's name, by which scripts tell where they run
