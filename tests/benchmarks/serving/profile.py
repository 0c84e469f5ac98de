"""A sampled profile as shares: where the time of a process goes.

The input are folded stacks, as `py-spy record -f raw` writes them: `caller;callee count`, one stack a line. With native
frames py-spy stops the threads it looks at, and so takes those that wait for working ones: they are told apart here by
what they wait in.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

WAITING = {
    "_queue_SimpleQueue_get": "the next request",
    "pthread_cond_timedwait": "a lock, mostly the interpreter's",
    "pthread_cond_wait": "a lock, mostly the interpreter's",
    "epoll_pwait": "the next request",
    "epoll_wait": "the next request",
    "recvmsg": "the supervisor's word",
}
DEEP = 6  # innermost frames in which a waiting call is looked for


@dataclass(frozen=True)
class Share:
    """One function: the per cent of samples in which it ran itself, and in which it or what it called did."""

    name: str
    itself: float
    total: float


def waits_for(stack: str) -> str:
    """What the stack waits for, "" when it works."""
    for frame in reversed(stack.split(";")[-DEEP:]):
        if wait := WAITING.get(frame.partition(" ")[0]):
            return wait
    return ""


def split(folded: str) -> tuple[str, dict[str, float]]:
    """The stacks that work, and the per cent of all samples that waited, by what for."""
    working, waiting, samples = [], Counter[str](), 0
    for line in folded.splitlines():
        stack, _, count = line.rpartition(" ")
        if not stack:
            continue
        samples += int(count)
        if wait := waits_for(stack):
            waiting[wait] += int(count)
        else:
            working.append(line)
    return "\n".join(working), {name: count / samples * 100 for name, count in waiting.most_common()}


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
