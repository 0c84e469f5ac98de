"""Finds the Docker engine of this machine, or Podman through its socket, and says why it cannot be used.

`endpoints` lists where an engine may listen, `engine` opens one with the SDK and `client`, and `failures` turns
its errors into failures, which `core.diagnosis` explains. Imports only `core`, and the SDK when an engine is opened.
"""

from __future__ import annotations

from mldeploy_jupyter.docker_engine.engine import Engine, open_engine
from mldeploy_jupyter.docker_engine.failures import EngineError, engine_errors

__all__ = ["Engine", "EngineError", "engine_errors", "open_engine"]
