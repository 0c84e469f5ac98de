"""The benchmark's tables, as text."""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime
from pathlib import Path

from .figures import Key, Quantity, Rounds, Verdict
from .servers import OWN_LOOP, WITH_DUTIES

COMPARED = ("azureml", "fastapi async", OWN_LOOP, WITH_DUTIES)
SHOWN: tuple[Quantity, ...] = ("rate", "p50", "p99", "cpu")


def machine() -> str:
    """What this was measured on."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    load = os.getloadavg()[0]
    return (
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {os.cpu_count()} cores ({model}), {memory:.0f} GiB, "
        f"Linux {platform.release()}, Python {platform.python_version()}, load before {load:.2f}"
    )


def table(rounds: Rounds) -> list[str]:
    """One line a server, work and load: medians, and the ratios to each of `COMPARED` in the same round.

    Ratios of batched requests are to the peer's own batching where it has one, else to its small requests.
    """
    lines = []
    order: dict[tuple[str, int], list[Key]] = {}
    for key in rounds.found:
        order.setdefault((key[1], key[2]), []).append(key)
    widths = [len(name) + 3 for name in COMPARED]
    heads = "".join(f"{'x ' + name:>{width}}" for name, width in zip(COMPARED, widths, strict=True))
    for (kind, connections), keys in sorted(order.items(), key=lambda item: (_place(item[0][0]), item[0][1])):
        title = f"{kind}, {connections} connection{'s' if connections > 1 else ''}"
        lines.append(f"{title:<24} {'requests/s':>10} {'p50 ms':>8} {'p99 ms':>8} {'CPU us':>8}{heads}")
        for key in sorted(keys, key=lambda key: -(rounds.median(key, "rate") or 0)):
            values = [rounds.median(key, quantity) or 0.0 for quantity in SHOWN]
            peers = [(name, kind, connections) for name in COMPARED]
            if kind == "batch":
                peers = [peer if peer in rounds.found else (peer[0], "small", connections) for peer in peers]
            ratios = [rounds.ratio(key, peer, "rate") for peer in peers]
            shown = "".join(
                f"{'-' if ratio is None else f'{ratio:.2f}':>{width}}"
                for ratio, width in zip(ratios, widths, strict=True)
            )
            lines.append(
                f"  {key[0]:<22} {values[0]:>10,.0f} {values[1]:>8.2f} {values[2]:>8.2f} {values[3]:>8.0f}{shown}"
            )
        lines.append("")
    return lines


def _place(work: str) -> int:
    return ("small", "batch", "large", "raw").index(work)


def versions_table(found: dict[str, dict[str, str]], ours: dict[str, str]) -> list[str]:
    """The packages of each environment; what ours has too and in another version stands with a `!`."""
    lines = [f"ours: {', '.join(f'{name} {number}' for name, number in ours.items() if number)}"]
    for environment, numbers in found.items():
        shown = [
            f"{name} {number}{'!' if ours.get(name) not in ('', None, number) else ''}"
            for name, number in numbers.items()
        ]
        lines.append(f"{environment}: {', '.join(shown)}")
    return lines


def judged(verdicts: list[Verdict]) -> list[str]:
    met = sum(one.met is True for one in verdicts)
    missed = sum(one.met is False for one in verdicts)
    return [
        *(str(one) for one in verdicts),
        f"{met} floors met, {missed} missed, {len(verdicts) - met - missed} not measured",
    ]
