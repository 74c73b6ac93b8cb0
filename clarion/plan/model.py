"""
How many instances, by the fuller model: stalls, uneven exporters, and one instance lost.

    feasible(n, l)  iff  l x s(n) <= rho_max x C
    n = the fewest with feasible(n, peak x margin) and feasible(n - f, peak)

s(n) is the busiest instance's share, rho_max the utilisation cap, C the capacity of one, f the
instances that may be lost at peak, without margin. Rule: pure; every term is a count of
instances on its own, so that the one which binds can be named.
"""

from dataclasses import dataclass
from enum import StrEnum

from clarion.errors import UsageError
from clarion.plan.demand import Demand, instances
from clarion.plan.share import Weights, busiest_share, fewest, fewest_by_table, rates
from clarion.plan.stalls import DRAIN_S, STALL_S, utilisation_cap


class Term(StrEnum):
    """What may bind, the simplest first; of equal counts the first one binds."""

    ARITHMETIC = "arithmetic"
    STALLS = "stalls"
    IMBALANCE = "imbalance"
    REDUNDANCY = "redundancy"
    HEAVIEST_EXPORTER = "heaviest exporter"


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """
    What the model is told beside the demand; times in seconds.

    `exporters` None: unknown, so the load is taken as evenly spread. `spare`: instances that
    may be lost at peak.
    """

    stall_s: float = STALL_S
    drain_s: float = DRAIN_S
    spare: int = 1
    exporters: int | None = None
    weights: Weights = Weights.EQUAL

    def __post_init__(self) -> None:
        """Refuse what the formulas do not hold for."""
        if self.drain_s <= 0:
            raise UsageError("drain 0s: wanted a time above 0, as in --drain 1s")
        if self.spare < 0:
            raise UsageError(f"spare {self.spare}: wanted 0 or more, as in --spare 1")
        if self.exporters is not None and not 1 <= self.exporters <= 100_000:
            raise UsageError(
                f"exporters {self.exporters}: wanted 1 to 100000, as in --exporters 20"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Recommendation:
    """
    The answer, each term's count of instances, and the term that binds.

    A term is None where it does not apply (unknown exporters) or cannot be met by any number of
    instances (then `feasible` is false and the binding term is the heaviest exporter).
    `busiest_share` is of the whole load; `by_table` counts instances were exporters assigned to
    them by a table in place of a hash.
    """

    instances: int
    binding: Term
    terms: dict[Term, int | None]
    utilisation_cap: float
    busiest_share: float
    by_table: int | None
    feasible: bool


def recommend(demand: Demand, capacity_fps: float, conditions: Conditions) -> Recommendation:
    """
    The fewest instances that carry peak x margin, and peak alone with `spare` of them lost.

    10M/h, margin 2, C 250: rho_max 0.8 leaves 200 each, 5555.6 / 200 = 27.8, so 28 for stalls;
    2777.8 / 200 = 13.9, so 14 + 1 for redundancy; stalls bind.
    20 zipf exporters, margin 2, C 3000, rho_max 0.8: 2 by arithmetic, 17 by hash, 3 by table.
    """
    cap = utilisation_cap(conditions.stall_s, conditions.drain_s)
    usable = cap * capacity_fps
    terms: dict[Term, int | None] = {
        Term.ARITHMETIC: instances(demand.design_fps, capacity_fps),
        Term.STALLS: instances(demand.design_fps, usable),
        Term.IMBALANCE: None,
        Term.REDUNDANCY: instances(demand.peak_fps, usable) + conditions.spare,
    }
    by_table, feasible = None, True
    if conditions.exporters is not None:
        spread = (conditions.exporters, conditions.weights)
        terms[Term.IMBALANCE] = fewest(*spread, usable / demand.design_fps)
        at_peak = fewest(*spread, usable / demand.peak_fps)
        if at_peak is not None:
            terms[Term.REDUNDANCY] = at_peak + conditions.spare
        by_table = _by_table(demand, usable, conditions)
        feasible = terms[Term.IMBALANCE] is not None
    counts = {term: count for term, count in terms.items() if count is not None}
    most = max(counts.values())
    binding = next(term for term, count in counts.items() if count == most)
    return Recommendation(
        instances=most,
        binding=binding if feasible else Term.HEAVIEST_EXPORTER,
        terms=terms,
        utilisation_cap=cap,
        busiest_share=share(conditions, most),
        by_table=by_table,
        feasible=feasible,
    )


def share(conditions: Conditions, n: int) -> float:
    """s(n), the busiest instance's share of the load: 1/n where the exporters are unknown."""
    if conditions.exporters is None:
        return 1 / n
    return busiest_share(conditions.exporters, conditions.weights, n)


def heaviest_fps(demand: Demand, conditions: Conditions) -> float:
    """Records per second, at peak x margin, of the exporter that sends most; 0 if unknown."""
    if conditions.exporters is None:
        return 0.0
    return rates(conditions.exporters, conditions.weights)[0] * demand.design_fps


def _by_table(demand: Demand, usable_fps: float, conditions: Conditions) -> int | None:
    if conditions.exporters is None:
        return None
    spread = (conditions.exporters, conditions.weights)
    design = fewest_by_table(*spread, usable_fps / demand.design_fps)
    peak = fewest_by_table(*spread, usable_fps / demand.peak_fps)
    return None if design is None or peak is None else max(design, peak + conditions.spare)
