"""Rows of figures, each beside the greatest value that is wanted."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass
class Table:
    """Rows of figures; the greatest value that is wanted stands beside each that has one."""

    rows: list[tuple[str, list[float], float | None, str]] = field(default_factory=list)

    def add(self, name: str, values: Sequence[float], wanted: float | None = None, unit: str = "s") -> None:
        self.rows.append((name, list(values), wanted, unit))
        print(self._line(*self.rows[-1], width=58), flush=True)

    def text(self) -> str:
        width = max(len(name) for name, *_ in self.rows)
        return "\n".join(self._line(*row, width=width) for row in self.rows)

    @property
    def missed(self) -> int:
        return sum(wanted is not None and statistics.median(values) > wanted for _, values, wanted, _ in self.rows)

    @staticmethod
    def _line(name: str, values: list[float], wanted: float | None, unit: str, width: int) -> str:
        middle = statistics.median(values)
        spread = f"{min(values):.4g} to {max(values):.4g}, n={len(values)}" if len(values) > 1 else ""
        verdict = "" if wanted is None else f"<= {wanted:g}  {'met' if middle <= wanted else 'MISSED'}"
        return f"{name:<{width}}  {middle:8.4g} {unit:<9} {spread:<26} {verdict}".rstrip()
