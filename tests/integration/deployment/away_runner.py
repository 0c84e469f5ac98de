"""A runner whose workspace is unavailable for AWAY seconds, as on a remounted disk. Run by test_store_away.py."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

from mldeploy_jupyter.deployment import runner

root = Path(sys.argv[1])
away = root.with_name("away")

sys.stdin.buffer.peek()  # until the caller has written everything
root.rename(away)
threading.Timer(float(os.environ["AWAY"]), away.rename, [root]).start()
sys.exit(runner.main(sys.argv[1:]))
