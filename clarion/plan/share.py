"""
The busiest instance's share when K exporters are spread over n instances by a hash.

Model: each exporter lands on one of n instances, uniformly and independently. The load of one
instance is then L = sum r_i Bernoulli(1/n). Loads of instances are negatively associated, so
P(busiest > t) <= n P(L > t), and the share that holds in 95 of 100 layouts is the quantile of L
at 1 - 0.05/n. Rule: no simulation, no randomness; rounding goes to the safe side.
"""

import heapq
import math
from collections.abc import Sequence
from enum import StrEnum

# A layout of exporters worse than the plan is accepted with this probability.
RISK = 0.05
MAX_INSTANCES = 1 << 20

_CELLS = 1000  # of the grid on which unequal rates are added
_BALLS = 120  # unequal exporters that are added one by one; the lightest are bundled


class Weights(StrEnum):
    """How the load is divided between exporters."""

    EQUAL = "equal"
    ZIPF = "zipf"  # the i-th has a share proportional to 1/i


def rates(count: int, weights: Weights) -> list[float]:
    """Shares of K exporters, the heaviest first; they add up to 1."""
    if weights is Weights.EQUAL:
        return [1 / count] * count
    total = math.fsum(1 / i for i in range(1, count + 1))
    return [1 / (i * total) for i in range(1, count + 1)]


def binomial_tail(k: int, n: int, p: float) -> float:
    """
    P(X > k) for X ~ Binomial(n, p), summed term by term from k + 1.

    n = 3, p = 1/2, k = 1: (3 + 1) / 8 = 0.5.
    """
    if k >= n or p <= 0:
        return 0.0
    if k < 0 or p >= 1:
        return 1.0
    log_p, log_q, log_n = math.log(p), math.log1p(-p), math.lgamma(n + 1)
    total, mode = 0.0, n * p
    for j in range(k + 1, n + 1):
        log_ways = log_n - math.lgamma(j + 1) - math.lgamma(n - j + 1)
        term = math.exp(log_ways + j * log_p + (n - j) * log_q)
        total += term
        if j > mode and term < total * 1e-15:
            break
    return min(1.0, total)


def busiest_share(count: int, weights: Weights, n: int) -> float:
    """
    s95(n): the share of all load on the busiest of n instances, in 95 of 100 layouts.

    20 equal exporters on 4 instances: half of the load, twice the mean. n = 1: 1.
    """
    if n == 1:
        return 1.0
    if weights is Weights.EQUAL:
        low, high = 0, count  # P(L > low) is too much, unless low is 0; P(L > high) is not
        while low < high:
            middle = (low + high) // 2
            if n * binomial_tail(middle, count, 1 / n) <= RISK:
                high = middle
            else:
                low = middle + 1
        return high / count
    upper, shares = 0.0, _bundled(rates(count, weights))
    while upper < 1:  # a grid no wider than needed, since its cells are its precision
        upper = min(1.0, max(4 / n, 2 * shares[0], 2 * upper))
        at_most = 0.0
        for cell, chance in enumerate(_grid(shares, n, upper)):
            at_most += chance
            if n * (1 - at_most) <= RISK:
                return min(1.0, cell * upper / _CELLS)
    return 1.0


def fits(count: int, weights: Weights, n: int, limit: float) -> bool:
    """Whether the busiest of n instances carries no more than `limit` of the load (0 to 1)."""
    if limit >= 1:
        return True
    if n == 1:
        return False
    if weights is Weights.EQUAL:
        most = math.floor(limit * count * (1 + 1e-9))
        return n * binomial_tail(most, count, 1 / n) <= RISK
    shares = _bundled(rates(count, weights))
    return n * (1 - math.fsum(_grid(shares, n, limit))) <= RISK


def fewest(count: int, weights: Weights, limit: float) -> int | None:
    """
    The fewest instances whose busiest carries no more than `limit` of the load, by hash.

    None where the heaviest exporter alone is above the limit, or a million would not do.
    """
    if limit >= 1:
        return 1
    if rates(count, weights)[0] > limit * (1 + 1e-9):
        return None
    high = max(2, math.ceil(1 / limit))
    low = high - 1  # an even share is the best there is
    while not fits(count, weights, high, limit):
        low, high = high, 2 * high
        if high > MAX_INSTANCES:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        if fits(count, weights, middle, limit):
            high = middle
        else:
            low = middle
    return high


def fewest_by_table(count: int, weights: Weights, limit: float) -> int | None:
    """
    The fewest instances when each exporter is put on the least loaded, heaviest first.

    The LPT rule; its busiest is at most 4/3 - 1/(3n) of the best layout (Graham 1969).
    """
    shares = rates(count, weights)
    if shares[0] > limit * (1 + 1e-9):
        return None
    n = max(1, math.ceil(1 / limit - 1e-9))
    while True:
        loads = [0.0] * n
        for share in shares:
            heapq.heapreplace(loads, loads[0] + share)
        if max(loads) <= limit * (1 + 1e-9):
            return n
        n += max(1, n // 100)


def _bundled(shares: Sequence[float]) -> list[float]:
    """At most `_BALLS` shares: the lightest in equal bundles, which is more uneven, so safe."""
    if len(shares) <= _BALLS:
        return list(shares)
    alone = shares[: _BALLS // 2]
    rest = math.fsum(shares[len(alone) :])
    size = max(shares[len(alone)], rest / (_BALLS - len(alone)))
    bundles = math.ceil(rest / size)
    return [*alone, *[rest / bundles] * bundles]


def _grid(shares: Sequence[float], n: int, upper: float) -> list[float]:
    """P(L = cell) for loads 0 to `upper` in `_CELLS` cells, each share rounded up to a cell."""
    p = 1 / n
    q = 1 - p
    chances = [1.0] + [0.0] * _CELLS
    for share in shares:
        step = math.ceil(share / upper * _CELLS - 1e-9)
        if step > _CELLS:
            chances = [chance * q for chance in chances]
            continue
        moved = chances[: _CELLS + 1 - step]
        chances = [
            *[chance * q for chance in chances[:step]],
            *[stay * q + come * p for stay, come in zip(chances[step:], moved, strict=True)],
        ]
    return chances
