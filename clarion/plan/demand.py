"""
The guide's arithmetic: peak, margin and capacity to a whole number of instances.

Rule: pure functions of plain numbers; rates are flow records per second (fps).
"""

import math
from dataclasses import dataclass
from enum import StrEnum

from clarion.errors import UsageError

# A quotient this close above a whole number is that number plus the rounding of the division.
_ROUNDING = 1e-9


class Source(StrEnum):
    """Where a number comes from, the weakest last."""

    GIVEN = "given"  # by the user
    MEASURED = "measured"  # read from a Measurement
    ASSUMED = "assumed"  # a default of this module


_STRENGTH = [Source.GIVEN, Source.MEASURED, Source.ASSUMED]


def weakest(*sources: Source) -> Source:
    """The source of a number computed from others: assumed if any is, else measured if any is."""
    return max(sources, key=_STRENGTH.index)


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number, where it comes from, and the sentence behind it."""

    value: float
    source: Source
    basis: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """
    What must be carried: `peak_fps` records per second, times `margin` to be designed for.

    Raises:
        UsageError: a peak that is not above 0, or a margin below 1.
    """

    peak_fps: float
    margin: float = 2.0

    def __post_init__(self) -> None:
        """Refuse what no plan can be made of."""
        if not 0 < self.peak_fps < math.inf:
            raise UsageError(f"peak {self.peak_fps:g}/s: wanted a rate above 0, as in --peak 10M/h")
        if not 1 <= self.margin < math.inf:
            raise UsageError(
                f"margin {self.margin:g}: wanted a factor of 1 or more, as in --margin 2"
            )

    @property
    def design_fps(self) -> float:
        """Peak x margin, records per second."""
        return self.peak_fps * self.margin


def instances(load_fps: float, capacity_fps: float) -> int:
    """
    Instances for a load, shared evenly, each used to its capacity; always rounded up.

        n = ceil(load / C)

    Args:
        load_fps: records per second in all.
        capacity_fps: C, records per second that one instance takes without loss.

    10M/h is 2777.8/s; at C = 250/s that is 11.1, so 12; with margin 2, 22.2, so 23.

    Raises:
        UsageError: a capacity that is not above 0.
    """
    if not 0 < capacity_fps < math.inf:
        raise UsageError(
            f"capacity {capacity_fps:g}/s: wanted a rate above 0, as in --capacity 250/s"
        )
    quotient = load_fps / capacity_fps
    return max(1, math.ceil(quotient - quotient * _ROUNDING))
