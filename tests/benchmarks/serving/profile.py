"""A sampled profile as shares: where the time of a process goes.

The input are folded stacks, as `py-spy record -f raw` writes them: `caller;callee count`, one stack a line.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass


@dataclass(frozen=True)
class Share:
    """One function: the per cent of samples in which it ran itself, and in which it or what it called did."""

    name: str
    itself: float
    total: float


def shares(folded: str) -> list[Share]:
    """Every function of the stacks, the one that runs most itself first. A recursive one counts once a stack."""
    itself: Counter[str] = Counter()
    total: Counter[str] = Counter()
    samples = 0
    for line in folded.splitlines():
        stack, _, count = line.rpartition(" ")
        if not stack:
            continue
        frames = stack.split(";")
        samples += int(count)
        itself[frames[-1]] += int(count)
        for name in set(frames):
            total[name] += int(count)
    found = [Share(name, itself[name] / samples * 100, total[name] / samples * 100) for name in total]
    return sorted(found, key=lambda share: (-share.itself, -share.total, share.name))


def table(found: list[Share], most: int, microseconds: float) -> list[str]:
    """The first functions by their own time and by their whole time; `microseconds` are those of one request."""
    lines = []
    for title, key in (("itself", "itself"), ("with what it calls", "total")):
        lines.append(f"{'per cent':>9} {'us':>7}  {title}")
        for share in sorted(found, key=lambda share: -getattr(share, key))[:most]:
            value = getattr(share, key)
            lines.append(f"{value:>9.1f} {value * microseconds / 100:>7.1f}  {share.name}")
        lines.append("")
    return lines
