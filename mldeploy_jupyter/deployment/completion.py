"""The ends of deployments that this process carries out, for waiters in this process."""

from __future__ import annotations

import threading
import weakref

# By deployment id: set when that deployment has ended.
completion_events: weakref.WeakValueDictionary[str, threading.Event] = weakref.WeakValueDictionary()
