"""
Which load to try next, and what the trials so far say: a search without clock or process.

Grow by a factor until a load fails, then halve the gap (geometrically) until the bounds are
within `width`, then repeat the highest load that passed. Rule: pure functions of the outcomes so
far, so the same outcomes give the same search.

Source: the shape is RFC 2544 26.1 with the bisection and the repeats of RFC 9971 (MLRsearch),
reduced to one goal: zero loss, no trial may exceed.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Outcome(StrEnum):
    """What one trial says about its load."""

    PASSED = "passed"
    FAILED = "failed"
    TESTER = "tester"  # the load generator did not keep its rate; the collector lost nothing


@dataclass(frozen=True, slots=True)
class Tried:
    """A load, records per second, and its outcome."""

    fps: float
    outcome: Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """
    How to search; rates in records per second.

    `ceiling_fps` is never exceeded: what the tester can offer. `width` is relative: the bounds
    are close enough when upper / lower is at most 1 + width. A load passes when it passed
    `repeats` times.
    """

    start_fps: float
    ceiling_fps: float
    width: float
    repeats: int
    growth: float = 4.0
    floor_fps: float = 50.0


@dataclass(frozen=True, slots=True)
class Step:
    """The load to try next and why, in a few words."""

    fps: float
    why: str


@dataclass(frozen=True, slots=True)
class Bounds:
    """
    What is known: `lower` passed and nothing at or below it failed; `upper` did not pass.

    `tester_limited`: it is the tester, not the collector, that keeps `lower` from being higher.
    None: no such load was tried.
    """

    lower: float | None
    upper: float | None
    tester_limited: bool


def bounds(goal: Goal, tried: Sequence[Tried]) -> Bounds:
    """
    The highest load that passed below all that did not, and the lowest that did not.

    A load at which the tester fell short counts only once that happened twice.
    """
    failed = [one.fps for one in tried if one.outcome is Outcome.FAILED]
    short = [one.fps for one in tried if one.outcome is Outcome.TESTER]
    short = [fps for fps in short if short.count(fps) >= 2]
    upper = min([*failed, *short], default=None)
    limit = math.inf if upper is None else upper
    passed = [one.fps for one in tried if one.outcome is Outcome.PASSED and one.fps < limit]
    lower = max(passed, default=None)
    at_ceiling = upper is None and lower is not None and lower >= goal.ceiling_fps
    return Bounds(lower, upper, at_ceiling or (upper is not None and upper not in failed))


def next_step(goal: Goal, tried: Sequence[Tried]) -> Step | None:
    """
    The load to try next, or None when the search is over: the goal reached, or nothing passes.

    Never a load above the ceiling or below the floor.
    """
    if not tried:
        return Step(min(goal.start_fps, goal.ceiling_fps), "first")
    if tried[-1].outcome is Outcome.TESTER and tried.count(tried[-1]) < 2:
        return Step(tried[-1].fps, "again: the tester fell short")
    known = bounds(goal, tried)
    if known.lower is None:
        assert known.upper is not None
        lower_fps = known.upper / goal.growth
        return None if lower_fps < goal.floor_fps else Step(lower_fps, "lower: nothing passed yet")
    if known.upper is None:
        if known.lower < goal.ceiling_fps:
            return Step(min(known.lower * goal.growth, goal.ceiling_fps), "higher")
    elif known.upper / known.lower > 1 + goal.width:
        return Step(math.sqrt(known.lower * known.upper), "between the bounds")
    passes = tried.count(Tried(known.lower, Outcome.PASSED))
    if passes < goal.repeats:
        return Step(known.lower, f"repeat {passes + 1} of {goal.repeats}")
    return None
