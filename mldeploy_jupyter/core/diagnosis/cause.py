"""A named cause: why a deployment failed, in words and as data."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from mldeploy_jupyter.core.errors import DeploymentFailed
from mldeploy_jupyter.core.json_record import JsonRecord


@dataclass(frozen=True)
class Cause(JsonRecord):
    """Why a deployment failed. `what`, `why` and `hint` are one sentence each, without a full stop.

    `code` is stable, for programs. `where` is a line of the cell, or of the file if there is no cell. `excerpt` has
    the lines around it, each as `{"line", "text", "guilty"}`. `data` has the facts behind the words.
    """

    code: str
    what: str
    why: str = ""
    hint: str = ""
    where: str = ""
    excerpt: list[dict[str, Any]] = field(default_factory=list)
    data: dict[str, Any] = field(default_factory=dict)

    def to_error(self, service: str = "", deployment_id: str = "") -> DeploymentFailed:
        """The error that `wait_for_deployment` raises."""
        hint = self.hint or f"read the log with mldeploy service get-logs -n {service}"
        return DeploymentFailed(
            self.what, why=self.why, hint=hint, where=self.where, cause=self, deployment_id=deployment_id
        )
