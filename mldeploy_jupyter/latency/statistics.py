"""Percentiles of latencies and how sure they are: exact quantiles, their intervals, and comparisons of two services.

A quantile is a latency that was measured, never one between two: the smallest that at least that share of the requests
took at most. A request that was never sent counts as slower than every other. Latencies of neighbouring requests
resemble each other, so that n of them say less than n independent ones would; blocks of neighbours tell how much less.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

QUANTILES = (0.5, 0.9, 0.95, 0.99, 0.999)

CONFIDENCE = 0.95

TAIL_REQUESTS = 10  # slower than a quantile that is reported; fewer are chance

LEAST_BLOCKS = 10  # from which the likeness of neighbours is estimated; longer ones are divided where there are fewer

MOST_BLOCKS = 300  # that a bootstrap draws from; of a longer run, neighbours are joined

REPLICATES = 4000  # of a bootstrap: its p-values are multiples of 1/4000

_TAIL_CELLS = 2000  # slowest requests that a bootstrap tells apart
_BODY_CELLS = 2000  # groups of neighbouring ranks of all the others: 0.05 % of the requests each
_CHUNK = 250  # replicates that are made at once: 8 MB of counts


def percentile_name(quantile: float) -> str:
    """`p50`, `p99.9`."""
    return f"p{100 * quantile:.6g}"


def requests_needed(quantile: float) -> int:
    """How many requests a quantile needs, so that `TAIL_REQUESTS` of them are slower."""
    return math.ceil(round(TAIL_REQUESTS / (1 - quantile), 6))


def find_quantile(ordered: Floats, quantile: float) -> float:
    """The quantile of latencies that are in ascending order; NaN without any."""
    count = len(ordered)
    return float(ordered[_rank(count, quantile) - 1]) if count else math.nan


def _rank(count: int, quantile: float) -> int:
    # Rounded, since 0.9 * 10 must be rank 9 and 0.07 * 100 rank 7.
    return min(count, max(1, math.ceil(round(count * quantile, 9))))


# Intervals of one quantile ------------------------------------------------------------------------------------------


def interval_ranks(count: int, quantile: float, confidence: float = CONFIDENCE) -> tuple[int, int]:
    """The ranks, from 1, between which the quantile of independent latencies lies with at least that confidence.

    0 and `count + 1` stand for no bound: there are too few requests for one. Exact, from the binomial distribution of
    how many requests are faster than the quantile.
    """
    import numpy as np

    if count < 1:
        return 0, 1
    tail = (1 - confidence) / 2
    below = np.cumsum(_binomial(count, quantile))  # below[k] = P(at most k of the requests are at most the quantile)
    low = int(np.searchsorted(below, tail, side="right"))  # the largest rank with P(fewer than that many) <= tail
    above = np.cumsum(_binomial(count, quantile)[::-1])  # above[k] = P(at least count - k)
    high = count + 1 - int(np.searchsorted(above, tail, side="right"))
    return low, high


def _binomial(count: int, chance: float) -> Floats:
    """The probabilities of 0 to `count` successes."""
    import numpy as np

    number = np.arange(count, dtype=np.float64)
    steps = np.log((count - number) / (number + 1)) + math.log(chance / (1 - chance))
    logs = np.concatenate(([count * math.log1p(-chance)], steps)).cumsum()
    chances = np.exp(logs - logs.max())
    found: Floats = chances / chances.sum()
    return found


def quantile_interval(
    ordered: Floats, quantile: float, confidence: float = CONFIDENCE, independent: float | None = None
) -> tuple[float, float]:
    """Between which latencies the quantile lies with that confidence; 0 and infinity where a bound cannot be given.

    `ordered` is in ascending order. `independent` is how many independent requests say as much as these do
    (`count_independent`); all of them by default.
    """
    count = len(ordered)
    worth = min(count, count if independent is None else math.floor(independent))
    if worth < 1:
        return 0.0, math.inf
    low, high = interval_ranks(worth, quantile, confidence)
    low_rank = low if worth == count else math.floor(low * count / worth)
    high_rank = high if worth == count else math.ceil(high * count / worth)
    return (
        float(ordered[low_rank - 1]) if low_rank >= 1 else 0.0,
        float(ordered[high_rank - 1]) if high <= worth and high_rank <= count else math.inf,
    )


def count_independent(values: Floats, blocks: Integers, quantile: float, confidence: float = CONFIDENCE) -> float:
    """How many independent requests say as much about a quantile as these, whose neighbours resemble each other.

    The share of each block that is at most the quantile varies more from block to block than among independent
    requests; the count is divided by how much more. It is reduced further when there are few blocks, whose variation
    is itself not well known (as Korn and Graubard do for surveys). At most the number of requests; 0 with one block.
    """
    import numpy as np

    count = len(values)
    labels, block_of = np.unique(blocks, return_inverse=True)
    if count == 0 or len(labels) < 2:
        return 0.0
    at_most = values <= find_quantile(np.sort(values), quantile)
    share = at_most.mean()
    expected = share * (1 - share) / count
    if expected == 0:  # all are the same
        return float(count)
    sizes = np.bincount(block_of)
    excess = np.bincount(block_of, weights=at_most) - share * sizes
    seen = len(labels) / (len(labels) - 1) * float((excess**2).sum()) / count**2
    tail = (1 - confidence) / 2
    reduction = (normal_quantile(1 - tail) / student_quantile(1 - tail, len(labels) - 1)) ** 2
    return float(count * min(1.0, reduction * expected / seen if seen else 1.0))


def divide_blocks(blocks: Integers, times: Floats, least: int = LEAST_BLOCKS, most: int = MOST_BLOCKS) -> Integers:
    """Labels from 0 on of between `least` and `most` blocks, in the order of those that are given.

    Fewer are each divided by time into equal parts of at least two requests on average; of more, neighbours are joined.
    """
    import numpy as np

    labels, block_of = np.unique(blocks, return_inverse=True)
    if len(labels) > most:
        joined: Integers = block_of * most // len(labels)
        return joined
    parts = min(math.ceil(least / max(1, len(labels))), max(1, len(blocks) // (2 * max(1, len(labels)))))
    if parts <= 1:
        return block_of.astype(np.int64)
    order = np.lexsort((times, block_of))
    sizes = np.bincount(block_of, minlength=len(labels))
    starts = np.concatenate(([0], sizes.cumsum()[:-1]))
    place = np.empty(len(blocks), np.int64)
    place[order] = np.arange(len(blocks)) - np.repeat(starts, sizes)  # its place within its block
    divided: Integers = block_of * parts + place * parts // sizes[block_of]
    return divided


def find_knee(rates: Sequence[float], latencies: Sequence[float]) -> int | None:
    """The step at which rate divided by latency, Kleinrock's power, is greatest; None when that is the last.

    Up to it more load buys more answers than it costs in waiting, from there on it is the other way about.
    """
    power = [rate / latency if latency > 0 else 0.0 for rate, latency in zip(rates, latencies, strict=True)]
    if len(power) < 3:
        return None
    best = max(range(len(power)), key=power.__getitem__)
    return best if best < len(power) - 1 else None


# Two services ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class QuantileComparison:
    """One quantile of two sets of latencies: `second` against `first`.

    `difference` is second - first in the unit of the latencies, `ratio` second / first; each has two bounds.
    `chance` is the p-value of a difference, corrected over all compared quantiles (Holm); `shown` says whether it is
    below 1 - confidence.
    """

    quantile: float
    first: float
    second: float
    difference: float
    difference_low: float
    difference_high: float
    ratio: float
    ratio_low: float
    ratio_high: float
    chance: float
    shown: bool


@dataclass(frozen=True)
class Blocks:
    """Latencies in any order, and the block of each."""

    values: Floats
    blocks: Integers


def compare_quantiles(
    first: Blocks,
    second: Blocks,
    quantiles: Sequence[float] = QUANTILES,
    *,
    seed: int,
    paired: bool = False,
    confidence: float = CONFIDENCE,
    replicates: int = REPLICATES,
) -> list[QuantileComparison]:
    """Compares the quantiles that both have enough requests for, by a bootstrap that draws whole blocks.

    With `paired` the blocks of both are drawn together, in ascending order of their labels: those of one run, in which
    the services took turns, so that what slows the machine down hits both. Percentile intervals, widened as Hesterberg
    does for few blocks. Empty when either has fewer than two blocks.
    """
    import numpy as np

    least = min(len(first.values), len(second.values))
    quantiles = [quantile for quantile in quantiles if least >= requests_needed(quantile)]
    counts = [len(np.unique(side.blocks)) for side in (first, second)]
    if not quantiles or min(counts) < 2:
        return []
    random = np.random.default_rng(seed)
    draws = _draw_blocks(random, counts[0], replicates)
    other = draws if paired and counts[0] == counts[1] else _draw_blocks(random, counts[1], replicates)
    ones, twos = _resample(first, quantiles, draws), _resample(second, quantiles, other)
    freedom = counts[0] - 1 if other is draws else _welch_freedom(ones, twos, counts)
    found = []
    for index, quantile in enumerate(quantiles):
        one = find_quantile(np.sort(first.values), quantile)
        two = find_quantile(np.sort(second.values), quantile)
        with np.errstate(invalid="ignore", divide="ignore"):
            differences = np.sort(twos[:, index] - ones[:, index])
            ratios = np.sort(twos[:, index] / ones[:, index])
            difference, ratio = np.subtract(two, one), np.divide(two, one)
        bounds = [_expanded_interval(values, confidence, freedom) for values in (differences, ratios)]
        chance = _chance_of_no_difference(differences, freedom)
        found.append((quantile, one, two, float(difference), *bounds[0], float(ratio), *bounds[1], chance))
    corrected = correct_chances([item[-1] for item in found])
    return [
        QuantileComparison(*item[:-1], chance=chance, shown=chance < 1 - confidence)
        for item, chance in zip(found, corrected, strict=True)
    ]


def correct_chances(chances: Sequence[float]) -> list[float]:
    """p-values corrected for their number as Holm does, in their order."""
    corrected = [0.0] * len(chances)
    reached = 0.0
    for place, index in enumerate(sorted(range(len(chances)), key=lambda index: chances[index])):
        reached = max(reached, min(1.0, (len(chances) - place) * chances[index]))
        corrected[index] = reached
    return corrected


def _draw_blocks(random: Any, blocks: int, replicates: int) -> Floats:
    """How often each replicate has each block, `(replicates, blocks)`."""
    import numpy as np

    return random.multinomial(blocks, np.full(blocks, 1 / blocks), size=replicates).astype(np.float32)  # type: ignore[no-any-return]


def _resample(side: Blocks, quantiles: Sequence[float], draws: Floats) -> Floats:
    """The quantiles of the replicates, `(replicates, quantiles)`.

    Requests are counted in cells of neighbouring ranks, so that a replicate is one product of matrices, whatever the
    number of requests. Each of the slowest requests has a cell of its own.
    """
    import numpy as np

    order = np.argsort(side.values, kind="stable")
    ordered = side.values[order]
    _, block_of = np.unique(side.blocks, return_inverse=True)
    count = len(ordered)
    body = max(0, count - _TAIL_CELLS)
    ends = np.unique(np.ceil(np.linspace(0, body, min(body, _BODY_CELLS) + 1))[1:].astype(np.int64))
    ends = np.concatenate((ends, np.arange(body + 1, count + 1)))
    cell_of = np.searchsorted(ends, np.arange(count), side="right")
    blocks = draws.shape[1]
    table = np.zeros((blocks, len(ends)), np.float32)
    np.add.at(table, (block_of[order], cell_of), 1)
    table = np.cumsum(table, axis=1)
    found = np.empty((len(draws), len(quantiles)))
    for start in range(0, len(draws), _CHUNK):
        reached = draws[start : start + _CHUNK] @ table  # whole numbers, which 32 bits hold exactly up to 16 million
        for index, quantile in enumerate(quantiles):
            wanted = np.ceil(np.round(reached[:, -1:].astype(np.float64) * quantile, 6))
            found[start : start + _CHUNK, index] = ordered[ends[np.argmax(reached >= wanted, axis=1)] - 1]
    return found


def _welch_freedom(ones: Floats, twos: Floats, counts: Sequence[int]) -> float:
    """The degrees of freedom of a difference of two independent estimates, the least of all quantiles."""
    import numpy as np

    with np.errstate(invalid="ignore"):
        variances = np.var(ones, axis=0), np.var(twos, axis=0)
    least = float(min(counts) - 1)
    freedoms = []
    for one, two in zip(*variances, strict=True):
        parts = one**2 / (counts[0] - 1) + two**2 / (counts[1] - 1)
        freedoms.append(float((one + two) ** 2 / parts) if np.isfinite(parts) and parts > 0 else least)
    return max(least, min(freedoms))


def _expanded_interval(ordered: Floats, confidence: float, freedom: float) -> tuple[float, float]:
    import numpy as np

    student = student_quantile((1 + confidence) / 2, freedom)
    tail = normal_chance(-math.sqrt((freedom + 1) / freedom) * student)
    if np.isnan(ordered).any():  # a replicate in which both are without bound
        return -math.inf, math.inf
    count = len(ordered)
    low = max(0, math.floor(tail * count) - 1)
    return float(ordered[low]), float(ordered[count - 1 - low])


def _chance_of_no_difference(ordered: Floats, freedom: float) -> float:
    """The two-sided p-value of what the bootstrap found, at the widened scale of `_expanded_interval`."""
    import numpy as np

    count = len(ordered)
    if np.isnan(ordered).any():
        return 1.0
    at_most, at_least = int((ordered <= 0).sum()), int((ordered >= 0).sum())
    tail = min(0.5, (min(at_most, at_least) + 1) / (count + 1))
    student = -normal_quantile(tail) * math.sqrt(freedom / (freedom + 1))
    return min(1.0, 2 * (1 - student_chance(student, freedom)))


# Distributions -----------------------------------------------------------------------------------------------------


def normal_quantile(chance: float) -> float:
    from statistics import NormalDist

    return NormalDist().inv_cdf(chance)


def normal_chance(value: float) -> float:
    return 0.5 * math.erfc(-value / math.sqrt(2))


def student_chance(value: float, freedom: float) -> float:
    """The distribution function of Student's t, to six digits."""
    # With t = sqrt(freedom) * tan(angle) the density is a power of the cosine; Simpson's rule integrates it.
    end = math.atan(abs(value) / math.sqrt(freedom))
    scale = math.exp(math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2)) / math.sqrt(math.pi)
    steps = 200
    width = end / steps
    total: float = sum(
        (1 if step in (0, steps) else 4 if step % 2 else 2) * math.cos(step * width) ** (freedom - 1.0)
        for step in range(steps + 1)
    )
    half = min(0.5, scale * total * width / 3)
    return 0.5 + half if value >= 0 else 0.5 - half


@lru_cache
def student_quantile(chance: float, freedom: float) -> float:
    """The inverse of `student_chance`, for chances above one half."""
    low, high = 0.0, 1.0
    while student_chance(high, freedom) < chance and high < 1e6:
        high *= 2
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if student_chance(middle, freedom) < chance else (low, middle)
    return (low + high) / 2
