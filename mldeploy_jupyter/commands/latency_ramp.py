"""`--ramp FROM:TO:STEPS` as rates."""

from __future__ import annotations

from mldeploy_jupyter.commands.errors import UsageError

MAX_STEPS = 50


def read_ramp(text: str) -> list[float]:
    """The rates: steps of equal ratio from the first to the last, or those of a list such as 50,100,200.

    Raises `UsageError`.
    """
    try:
        if ":" not in text:
            return [_positive(float(word)) for word in text.split(",")]
        first, last, steps = text.split(":")
        low, high, count = _positive(float(first)), _positive(float(last)), int(steps)
        if not 2 <= count <= MAX_STEPS:
            raise ValueError
        return [float(f"{low * (high / low) ** (step / (count - 1)):.3g}") for step in range(count)]
    except ValueError:
        raise UsageError(
            f"--ramp cannot be {text!r}",
            why=f"it is FROM:TO:STEPS in requests a second, with 2 to {MAX_STEPS} steps, or a list of rates",
            hint="write --ramp 50:400:4, or --ramp 50,100,200",
        ) from None


def _positive(number: float) -> float:
    if not 0 < number < float("inf"):
        raise ValueError
    return number
