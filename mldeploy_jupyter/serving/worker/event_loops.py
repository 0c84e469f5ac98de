"""The event loops of a worker: uvloop where it is installed, the standard one for a script that needs it."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

uvloop: Any
try:
    import uvloop  # here, so that a zygote has it before it forks: to import it costs every worker 3 MB
except ImportError:
    uvloop = None

# Modules that change the standard event loop and refuse any other.
PATCHING_MODULES = ("nest_asyncio", "nest_asyncio2")


def new_loop() -> asyncio.AbstractEventLoop:
    """A loop of uvloop, which takes half the time of the standard one, or else a standard one."""
    loop: asyncio.AbstractEventLoop = asyncio.new_event_loop() if uvloop is None else uvloop.new_event_loop()
    return loop


def new_script_loop(script: Path) -> asyncio.AbstractEventLoop:
    """The loop for `async def run`: of the policy that the script has set, standard where it needs that, else uvloop.

    `script` is the entry script, which has been imported. It may import a patching module later, inside `run()`, so
    its text counts too.
    """
    if asyncio.get_event_loop_policy() is not _INITIAL_POLICY:
        return asyncio.new_event_loop()
    try:
        text = script.read_text(errors="replace")
    except OSError:  # it was imported, and may be gone since
        text = ""
    if any(name in sys.modules or name in text for name in PATCHING_MODULES):
        return asyncio.new_event_loop()
    return new_loop()


_INITIAL_POLICY = asyncio.get_event_loop_policy()
