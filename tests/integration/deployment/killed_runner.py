"""A runner that kills itself with SIGKILL after the journal's event number KILL_AFTER. Run by test_recovery.py."""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

from mldeploy_jupyter.core.journal.journal import Event, Journal
from mldeploy_jupyter.deployment import runner

write = Journal.write


def write_then_die(self: Journal, *args: Any, **data: Any) -> Event:
    event = write(self, *args, **data)
    if event.seq >= int(os.environ["KILL_AFTER"]):
        os.kill(os.getpid(), signal.SIGKILL)
    return event


Journal.write = write_then_die  # type: ignore[method-assign]
sys.exit(runner.main(sys.argv[1:]))
