"""Waits between attempts at a request, as long as another attempt may help."""

from __future__ import annotations

import email.utils
import random
import re
import time
from collections.abc import Callable

from mldeploy_jupyter.core.errors import ImageError

LONGEST_WAIT = 120.0  # seconds; a longer Retry-After is an error


class Away(Exception):
    """The registry did not answer, or asked for patience. `seconds` is the wait it asks for, None without one."""

    def __init__(self, error: ImageError, seconds: float | None = None, *, hopeless: bool = False) -> None:
        super().__init__(str(error))
        self.error, self.seconds, self.hopeless = error, seconds, hopeless


class Backoff:
    """Waits of growing length with jitter, until there was no progress for `patience` seconds.

    `sleep(seconds)` waits and raises to stop.
    """

    def __init__(
        self,
        patience: float,
        sleep: Callable[[float], object],
        *,
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.patience, self._sleep, self._clock, self._jitter = patience, sleep, clock, jitter
        self.got_on()

    def got_on(self) -> None:
        """Call after any progress: the waits start again from the shortest."""
        self._attempts, self._since = 0, self._clock()

    def wait(self, away: Away) -> None:
        """Waits before the next attempt. Raises the error of `away` when the patience is exhausted."""
        delay = min(10.0, 0.2 * 2**self._attempts) * (0.5 + self._jitter() / 2)
        if away.seconds is not None:
            delay = max(delay, away.seconds)
        if (
            away.hopeless
            or delay > LONGEST_WAIT
            or self._clock() - self._since + delay > max(self.patience, (away.seconds or 0.0) + 1.0)
        ):
            raise away.error from None
        self._attempts += 1
        self._sleep(delay)


def retry_after(header: str, now: float) -> float | None:
    """The seconds that a header `Retry-After` asks for: a number or a date. None when it has neither."""
    if re.fullmatch(r"\d{1,9}", header.strip()):
        return float(header)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(header).timestamp() - now)
    except (TypeError, ValueError):
        return None
