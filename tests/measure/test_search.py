import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clarion.measure.search import Bounds, Goal, Outcome, Tried, bounds, next_step

P, F, T = Outcome.PASSED, Outcome.FAILED, Outcome.TESTER


def goal(**changes):
    values = {"start_fps": 1000.0, "ceiling_fps": 1e9, "width": 0.05, "repeats": 1} | changes
    return Goal(**values)


def tried(*pairs):
    return [Tried(float(fps), outcome) for fps, outcome in pairs]


@pytest.mark.parametrize(
    ("changes", "past", "fps", "why"),
    [
        ({}, [], 1000, "first"),
        ({"ceiling_fps": 300.0}, [], 300, "first"),
        ({}, [(1000, P)], 4000, "higher"),
        ({"ceiling_fps": 2000.0}, [(1000, P)], 2000, "higher"),
        ({"ceiling_fps": 1000.0}, [(1000, P)], None, ""),
        ({}, [(1000, F)], 250, "lower: nothing passed yet"),
        ({"floor_fps": 300.0}, [(1000, F)], None, ""),
        ({}, [(1000, P), (4000, F)], 2000, "between the bounds"),
        ({}, [(1000, P), (1050, F)], None, ""),
        ({"repeats": 2}, [(1000, P), (1050, F)], 1000, "repeat 2 of 2"),
        ({"repeats": 2}, [(1000, P), (1050, F), (1000, P)], None, ""),
        # a repeat that fails takes the load with it
        (
            {"repeats": 2},
            [(960, P), (1000, P), (1050, F), (1000, F)],
            960,
            "repeat 2 of 2",
        ),
        # what passed above a failure does not count
        ({}, [(1000, P), (2000, F), (3000, P)], 2**0.5 * 1000, "between the bounds"),
        # a tester that fell short is asked again, then believed
        ({}, [(1000, P), (4000, T)], 4000, "again: the tester fell short"),
        ({}, [(1000, P), (4000, T), (4000, T)], 2000, "between the bounds"),
        ({}, [(1000, P), (4000, T), (4000, P)], 16000, "higher"),
        ({}, [(1000, T), (1000, T)], 250, "lower: nothing passed yet"),
    ],
)
def test_next_step(changes, past, fps, why):
    step = next_step(goal(**changes), tried(*past))
    if fps is None:
        assert step is None
    else:
        assert step is not None
        assert (step.fps, step.why) == (pytest.approx(fps), why)


@pytest.mark.parametrize(
    ("past", "wanted"),
    [
        ([], Bounds(None, None, False)),
        ([(1000, P), (4000, F), (2000, P)], Bounds(2000, 4000, False)),
        ([(1000, P), (4000, T), (4000, T)], Bounds(1000, 4000, True)),
        ([(1000, P), (4000, T), (4000, T), (4000, F)], Bounds(1000, 4000, False)),
        ([(1000, P), (8000, P)], Bounds(8000, None, True)),
        ([(1000, F)], Bounds(None, 1000, False)),
    ],
)
def test_bounds(past, wanted):
    assert bounds(goal(ceiling_fps=8000.0), tried(*past)) == wanted


def run(search_goal, outcome, most=200):
    past = []
    while (step := next_step(search_goal, past)) is not None:
        past.append(Tried(step.fps, outcome(step.fps)))
        assert len(past) < most
    return past


@given(st.floats(60, 1e8), st.floats(60, 1e7), st.sampled_from([0.02, 0.05]), st.integers(1, 3))
def test_it_finds_the_capacity_of_any_collector(capacity, start, width, repeats):
    search_goal = goal(start_fps=start, width=width, repeats=repeats, floor_fps=10.0)
    past = run(search_goal, lambda fps: P if fps <= capacity else F)
    known = bounds(search_goal, past)
    assert known.lower <= capacity < known.upper
    assert known.upper / known.lower <= 1 + width
    assert not known.tester_limited
    assert len(past) < 25


@given(st.floats(100, 1e6), st.floats(100, 1e6))
def test_a_tester_that_is_the_limit_is_named(capacity, tester):
    search_goal = goal(ceiling_fps=1e8, floor_fps=5.0)
    past = run(search_goal, lambda fps: F if fps > capacity else T if fps > tester else P)
    known = bounds(search_goal, past)
    assert known.lower <= min(capacity, tester)
    assert known.lower * 1.051 >= min(capacity, tester)
    if capacity < tester:
        assert not known.tester_limited
    if tester * 1.06 < capacity:
        assert known.tester_limited


@settings(max_examples=50)
@given(st.randoms(use_true_random=False))
def test_it_ends_whatever_the_outcomes(random):
    search_goal = goal(ceiling_fps=1e5, repeats=3)
    past = run(search_goal, lambda _: random.choice([P, F, T]), most=1000)
    lower = bounds(search_goal, past).lower
    if lower is not None:
        assert past.count(Tried(lower, P)) >= 3
        assert Tried(lower, F) not in past
