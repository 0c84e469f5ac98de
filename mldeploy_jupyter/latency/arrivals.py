"""When requests are due, and in which order services have their turns. Randomness is handed in."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass

from mldeploy_jupyter.latency.plan import LatencyPlan


@dataclass(frozen=True)
class Block:
    """One turn of a service: `seconds` of load, from second `begin` of all its turns in this step."""

    number: int
    service: int
    step: int
    begin: float
    seconds: float


def plan_blocks(plan: LatencyPlan, order: random.Random) -> list[Block]:
    """Every turn of the run, in order. A round has one turn of each service, in random order.

    In a ramp a turn is a whole step: a queue that grows must be able to.
    """
    length = plan.duration if plan.ramp is not None else min(plan.block, plan.duration)
    rounds = max(1, math.ceil(plan.duration / length - 1e-9))
    blocks: list[Block] = []
    for step in range(len(plan.steps)):
        for number in range(rounds):
            turns = list(range(len(plan.services)))
            order.shuffle(turns)
            begin = number * length
            for service in turns:
                blocks.append(Block(len(blocks), service, step, begin, min(length, plan.duration - begin)))
    return blocks


def plan_more_blocks(blocks: list[Block], count: int, begin: float, order: random.Random) -> list[Block]:
    """`count` more blocks, in whole rounds of services in random order; each service's time continues at `begin`."""
    services, length = len({block.service for block in blocks}), blocks[0].seconds
    more: list[Block] = []
    for number in range(count // services):
        turns = list(range(services))
        order.shuffle(turns)
        for service in turns:
            more.append(Block(len(blocks) + len(more), service, 0, begin + number * length, length))
    return more


def plan_arrivals(rate: float, arrivals: str, draw: random.Random) -> Iterator[float]:
    """The seconds, from 0 on and without an end, at which requests are due: evenly, or as a Poisson process."""
    if arrivals == "poisson":
        at = 0.0
        while True:
            at += draw.expovariate(rate)
            yield at
    number = 0
    while True:
        yield number / rate
        number += 1
