from __future__ import annotations

import pytest

from mldeploy_jupyter.core.errors import ImageError
from mldeploy_jupyter.images.registry.backoff import Away, Backoff, retry_after

ERROR = ImageError("the registry is unavailable")


def waits(patience: float, aways: list[Away], jitter: float = 1.0) -> list[float]:
    now, slept = [0.0], []

    def sleep(seconds: float) -> None:
        slept.append(round(seconds, 3))
        now[0] += seconds

    backoff = Backoff(patience, sleep, clock=lambda: now[0], jitter=lambda: jitter)
    try:
        for away in aways:
            backoff.wait(away)
    except ImageError as error:
        assert error is ERROR
        slept.append(-1)
    return slept


def test_waits_grow_until_patience_ends() -> None:
    assert waits(5, [Away(ERROR)] * 9) == [0.2, 0.4, 0.8, 1.6, -1]
    assert waits(60, [Away(ERROR)] * 20)[-3:] == [10.0, 10.0, -1]
    assert waits(5, [Away(ERROR)] * 3, jitter=0.0) == [0.1, 0.2, 0.4]


def test_wait_that_the_registry_asks_for_is_kept() -> None:
    assert waits(5, [Away(ERROR, 30.0)]) == [30.0]
    assert waits(5, [Away(ERROR, 500.0)]) == [-1]
    assert waits(5, [Away(ERROR, hopeless=True)]) == [-1]


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7.0),
        ("Thu, 01 Jan 1970 00:01:40 GMT", 90.0),
        ("Thu, 01 Jan 1970 00:00:01 GMT", 0.0),
        ("", None),
        ("soon", None),
    ],
)
def test_retry_after(header: str, seconds: float | None) -> None:
    assert retry_after(header, now=10.0) == seconds
