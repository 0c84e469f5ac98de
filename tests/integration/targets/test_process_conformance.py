"""The conformance suite over the process target."""

from __future__ import annotations

from mldeploy_jupyter.targets import Target, TargetContext
from mldeploy_jupyter.targets.process import ProcessTarget
from mldeploy_jupyter.testing import TargetConformance


class TestProcessTarget(TargetConformance):
    def make_target(self, context: TargetContext) -> Target:
        return ProcessTarget(context)
