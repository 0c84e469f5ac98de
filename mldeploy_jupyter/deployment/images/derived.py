"""Tells runs which image was made of their models."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING

from mldeploy_jupyter.core.errors import MldeployError
from mldeploy_jupyter.core.records import ModelRecord
from mldeploy_jupyter.core.runs import open_run

if TYPE_CHECKING:
    from mldeploy_jupyter.core.workspace.folder import WorkspaceFolder

DERIVED_IMAGE = "AzureML.DerivedImageName"  # v1's property of a run: the image that was made from it


def name_image(
    folder: WorkspaceFolder, models: Iterable[ModelRecord], image: str, *, remote: bool | None = None
) -> None:
    """Sets the property `AzureML.DerivedImageName` of the runs that the models are of.

    `remote` asks for those in MLflow only, or for those in the workspace only, which takes no time. A run that is gone,
    or that cannot be reached, is left out.
    """
    for id in sorted({model.run_id for model in models if model.run_id}):
        place = folder.runs / id
        if remote is not None and place.is_dir() == remote:
            continue
        with suppress(MldeployError, OSError):
            run = open_run(place, id)
            if run is not None:
                run.set_properties({**run.get_properties(), DERIVED_IMAGE: image})
