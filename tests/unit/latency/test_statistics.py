"""Quantiles against numpy's, exact ranks against their definition, and how often intervals hold what they promise."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from mldeploy_jupyter.latency.statistics import (
    QUANTILES,
    Blocks,
    compare_quantiles,
    correct_chances,
    count_independent,
    divide_blocks,
    find_quantile,
    interval_ranks,
    percentile_name,
    quantile_interval,
    requests_needed,
    student_chance,
    student_quantile,
)

Floats = NDArray[np.float64]

LATENCIES = st.lists(st.floats(0.001, 1e5), min_size=1, max_size=300).map(np.array)
QUANTILE = st.sampled_from([*QUANTILES, 0.01, 0.07, 0.25, 1 / 3])


# One quantile -------------------------------------------------------------------------------------------------------


@given(LATENCIES, QUANTILE)
def test_a_quantile_is_the_smallest_latency_that_enough_requests_took_at_most(values: Floats, quantile: float) -> None:
    found = find_quantile(np.sort(values), quantile)
    enough = math.ceil(Fraction(quantile).limit_denominator(1000) * len(values))
    assert (values <= found).sum() >= enough
    assert (values < found).sum() < enough


@given(LATENCIES, QUANTILE)
def test_a_quantile_is_numpys(values: Floats, quantile: float) -> None:
    exact = np.quantile(values, float(Fraction(quantile).limit_denominator(1000)), method="inverted_cdf")
    ordered = np.sort(values)
    # numpy's rank may be one more where its product rounds up.
    assert find_quantile(ordered, quantile) <= exact <= ordered[min(len(values) - 1, _rank(ordered, quantile))]


def _rank(ordered: Floats, quantile: float) -> int:
    return int(np.searchsorted(ordered, find_quantile(ordered, quantile), side="right"))


def test_ranks_do_not_suffer_from_binary_fractions() -> None:
    values = np.arange(1.0, 101.0)
    assert [find_quantile(values, quantile) for quantile in (0.07, 0.29, 0.9, 0.95, 0.99)] == [7, 29, 90, 95, 99]
    assert find_quantile(np.array([]), 0.5) != find_quantile(np.array([]), 0.5)  # NaN


def test_a_request_that_was_never_sent_is_slower_than_all() -> None:
    values = np.sort(np.array([*[1.0] * 98, math.inf, math.inf]))
    assert find_quantile(values, 0.98) == 1
    assert find_quantile(values, 0.99) == math.inf


@pytest.mark.parametrize(
    ("quantile", "name", "needed"), [(0.5, "p50", 20), (0.95, "p95", 200), (0.99, "p99", 1000), (0.999, "p99.9", 10000)]
)
def test_a_tail_needs_requests(quantile: float, name: str, needed: int) -> None:
    assert percentile_name(quantile) == name
    assert requests_needed(quantile) == needed


# Its interval -------------------------------------------------------------------------------------------------------


def at_most(count: int, chance: Fraction, successes: int) -> Fraction:
    """P(at most that many successes), in whole numbers."""
    return sum(
        (math.comb(count, k) * chance**k * (1 - chance) ** (count - k) for k in range(max(0, successes + 1))),
        Fraction(0),
    )


@pytest.mark.parametrize("count", [1, 2, 5, 20, 100, 400])
@pytest.mark.parametrize("quantile", [Fraction(1, 2), Fraction(9, 10), Fraction(99, 100)])
def test_the_ranks_of_an_interval_are_exact(count: int, quantile: Fraction) -> None:
    """The narrowest on each side whose chance of missing is at most 2.5 %."""
    low, high = interval_ranks(count, float(quantile))
    tail = Fraction(1, 40)
    assert at_most(count, quantile, low - 1) <= tail < at_most(count, quantile, low)  # fewer than `low` are faster
    if high <= count:
        assert 1 - at_most(count, quantile, high - 1) <= tail  # `high` or more are at most the quantile
    assert 1 - at_most(count, quantile, high - 2) > tail


@given(LATENCIES, QUANTILE)
def test_an_interval_holds_its_quantile(values: Floats, quantile: float) -> None:
    ordered = np.sort(values)
    low, high = quantile_interval(ordered, quantile)
    assert low <= find_quantile(ordered, quantile) <= high


@given(LATENCIES, QUANTILE, st.floats(1, 300))
def test_fewer_independent_requests_make_it_no_narrower(values: Floats, quantile: float, worth: float) -> None:
    ordered = np.sort(values)
    low, high = quantile_interval(ordered, quantile)
    lower, higher = quantile_interval(ordered, quantile, independent=worth)
    assert lower <= find_quantile(ordered, quantile) <= higher
    if worth >= len(values):
        assert (lower, higher) == (low, high)


def test_without_requests_there_is_no_bound() -> None:
    assert quantile_interval(np.array([]), 0.5) == (0, math.inf)
    assert quantile_interval(np.array([1.0, 2.0]), 0.99)[1] == math.inf


def exponential(random: np.random.Generator, count: int) -> Floats:
    return random.exponential(1.0, count)


def correlated(random: np.random.Generator, count: int) -> Floats:
    """Exponential latencies whose neighbours resemble each other: the correlation falls to 1/e over ten requests."""
    keep = math.exp(-0.1)
    steps = (random.normal(size=(count, 2)) * math.sqrt(1 - keep**2)).tolist()
    one, two = random.normal(size=2).tolist()
    found = []
    for first, second in steps:
        one, two = keep * one + first, keep * two + second
        found.append((one * one + two * two) / 2)  # two squares of normal variables are exponential with mean 1
    return np.array(found)


def expect_coverage(held: int, tried: int, promised: float = 0.95, most: float = 1.0) -> None:
    """Fails when so few, or so many, held that chance is no explanation: three standard errors."""
    error = 3 * math.sqrt(promised * (1 - promised) / tried)
    assert held / tried >= promised - error, f"{held} of {tried}"
    assert held / tried <= most, f"{held} of {tried}"


@pytest.mark.parametrize("quantile", [0.5, 0.9, 0.99])
def test_the_exact_interval_covers_the_quantile_of_independent_requests(quantile: float) -> None:
    random = np.random.default_rng(1)
    true, tried, held = -math.log(1 - quantile), 1500, 0
    for _ in range(tried):
        low, high = quantile_interval(np.sort(exponential(random, 1000)), quantile)
        held += low <= true <= high
    expect_coverage(held, tried, most=0.99)


@pytest.mark.parametrize(
    ("quantile", "make", "most"),
    [(0.5, exponential, 0.99), (0.9, exponential, 0.995), (0.5, correlated, 0.98), (0.9, correlated, 0.985)],
)
def test_the_interval_covers_when_blocks_tell_how_alike_neighbours_are(
    quantile: float, make: Callable[[np.random.Generator, int], Floats], most: float
) -> None:
    random = np.random.default_rng(2)
    count, tried, held = 1000, 300, 0
    blocks = np.arange(count) // 50
    for _ in range(tried):
        values = make(random, count)
        worth = count_independent(values, blocks, quantile)
        low, high = quantile_interval(np.sort(values), quantile, independent=worth)
        held += low <= -math.log(1 - quantile) <= high
    expect_coverage(held, tried, most=most)


def test_without_blocks_correlated_requests_are_believed_too_much() -> None:
    """What `count_independent` is for."""
    random = np.random.default_rng(3)
    held = 0
    for _ in range(200):
        low, high = quantile_interval(np.sort(correlated(random, 2000)), 0.5)
        held += low <= math.log(2) <= high
    assert held < 150


# Blocks -------------------------------------------------------------------------------------------------------------


@given(st.lists(st.integers(0, 5), min_size=1, max_size=200), st.integers(1, 20))
def test_divided_blocks_keep_what_was_apart_apart(labels: list[int], least: int) -> None:
    blocks = np.array(labels)
    times = np.arange(len(labels), dtype=float)
    divided = divide_blocks(blocks, times, least)
    for label in np.unique(divided):
        inside = divided == label
        assert len(np.unique(blocks[inside])) == 1
        positions = np.flatnonzero(blocks == blocks[inside][0])
        assert np.diff(np.searchsorted(positions, np.flatnonzero(inside))).max(initial=1) == 1  # neighbours in time


def test_few_blocks_are_divided() -> None:
    divided = divide_blocks(np.array([7] * 100 + [9] * 100), np.arange(200.0))
    assert sorted(np.bincount(divided).tolist()) == [20] * 10
    many = np.repeat(np.arange(12), 10)
    assert divide_blocks(many, np.arange(120.0)).tolist() == many.tolist()


def test_the_blocks_of_a_long_run_are_joined() -> None:
    joined = divide_blocks(np.repeat(np.arange(3600), 2), np.arange(7200.0))
    assert len(np.unique(joined)) == 300 and (np.diff(joined) >= 0).all()


# Two services -------------------------------------------------------------------------------------------------------


def test_a_service_that_is_slower_by_a_known_factor() -> None:
    random = np.random.default_rng(4)
    blocks = np.arange(4000) // 100
    first = Blocks(random.lognormal(1, 0.3, 4000), blocks)
    second = Blocks(1.1 * random.lognormal(1, 0.3, 4000), blocks)
    found = {item.quantile: item for item in compare_quantiles(first, second, seed=5)}
    assert set(found) == {0.5, 0.9, 0.95, 0.99}  # p99.9 needs 10,000
    assert found[0.5].shown and found[0.5].ratio_low < 1.1 < found[0.5].ratio_high
    assert found[0.5].difference == pytest.approx(found[0.5].second - found[0.5].first)
    assert found[0.5].difference_low > 0
    assert 0 < found[0.5].chance < 0.01


def test_a_comparison_is_the_same_each_time_and_turns_around() -> None:
    random = np.random.default_rng(6)
    sides = [Blocks(random.exponential(size, 1000), np.arange(1000) // 50) for size in (1.0, 1.3)]
    found = compare_quantiles(*sides, [0.5], seed=1, paired=True)
    assert found == compare_quantiles(*sides, [0.5], seed=1, paired=True)
    (back,) = compare_quantiles(*reversed(sides), [0.5], seed=1, paired=True)
    assert back.difference == -found[0].difference
    assert (back.difference_low, back.difference_high) == (-found[0].difference_high, -found[0].difference_low)
    assert back.ratio_low == pytest.approx(1 / found[0].ratio_high)


def test_nothing_is_compared_without_blocks_or_requests() -> None:
    few = Blocks(np.ones(19), np.arange(19))
    one = Blocks(np.ones(100), np.zeros(100, int))
    assert compare_quantiles(few, few, seed=1) == []
    assert compare_quantiles(one, one, seed=1) == []


def test_requests_that_were_never_sent_leave_the_tail_open() -> None:
    blocks = np.arange(1000) // 50
    first = Blocks(np.full(1000, 2.0), blocks)
    second = Blocks(np.where(np.arange(1000) % 10 == 0, math.inf, 2.0), blocks)
    found = {item.quantile: item for item in compare_quantiles(first, second, seed=1)}
    assert found[0.5].ratio == 1 and not found[0.5].shown
    assert found[0.95].second == math.inf and found[0.95].shown
    both = {item.quantile: item for item in compare_quantiles(second, second, seed=1)}
    assert not both[0.95].shown and both[0.95].ratio_high == math.inf


@pytest.mark.parametrize("make", [exponential, correlated])
def test_the_interval_of_a_ratio_covers_it(make: Callable[[np.random.Generator, int], Floats]) -> None:
    random = np.random.default_rng(7)
    count, tried, held = 800, 250, {0.5: 0, 0.9: 0}
    blocks = np.arange(count) // 40
    for _ in range(tried):
        sides = Blocks(make(random, count), blocks), Blocks(1.2 * make(random, count), blocks)
        for found in compare_quantiles(*sides, list(held), seed=1, replicates=400):
            held[found.quantile] += found.ratio_low <= 1.2 <= found.ratio_high
    for quantile in held:
        expect_coverage(held[quantile], tried, most=0.995)


def test_equal_services_are_rarely_called_different() -> None:
    """Over all quantiles together at most one run in twenty."""
    random = np.random.default_rng(8)
    tried, wrong = 200, 0
    blocks = np.arange(1000) // 50
    for _ in range(tried):
        sides = [Blocks(correlated(random, 1000), blocks) for _ in range(2)]
        wrong += any(item.shown for item in compare_quantiles(*sides, seed=1, replicates=500))
    expect_coverage(tried - wrong, tried)


def test_pairs_see_through_what_hits_both() -> None:
    """Blocks in which the machine was slow are slow for both: drawn together they do not blur the difference."""
    random = np.random.default_rng(9)
    blocks = np.arange(2000) // 50
    slow = np.repeat(random.uniform(1, 3, 40), 50)
    sides = [Blocks(factor * slow * random.lognormal(0, 0.05, 2000), blocks) for factor in (1.0, 1.05)]
    (paired,) = compare_quantiles(*sides, [0.9], seed=1, paired=True)
    (apart,) = compare_quantiles(*sides, [0.9], seed=1)
    assert paired.shown and not apart.shown


# Corrections and distributions ----------------------------------------------------------------------------------------


def test_holms_correction() -> None:
    assert correct_chances([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert correct_chances([0.9, 0.8]) == [1, 1]
    assert correct_chances([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=10))
def test_a_corrected_chance_is_no_smaller_and_keeps_the_order(chances: list[float]) -> None:
    corrected = correct_chances(chances)
    assert all(after >= before for before, after in zip(chances, corrected, strict=True))
    order = sorted(range(len(chances)), key=lambda index: chances[index])
    assert [corrected[index] for index in order] == sorted(corrected)


@pytest.mark.parametrize(
    ("freedom", "quantile"), [(1, 12.7062), (2, 4.30265), (3, 3.18245), (9, 2.26216), (30, 2.04227), (1000, 1.96234)]
)
def test_students_distribution(freedom: int, quantile: float) -> None:
    assert student_quantile(0.975, freedom) == pytest.approx(quantile, rel=1e-4)
    assert student_chance(-quantile, freedom) == pytest.approx(0.025, rel=1e-3)
