import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clarion import units
from clarion.errors import UsageError
from clarion.plan import share, stalls
from clarion.plan.demand import Demand, Source, instances, weakest
from clarion.plan.model import Conditions, Term, recommend
from clarion.plan.share import Weights


def test_the_guides_example():
    demand = Demand(peak_fps=units.rate("10M/h"), margin=2)
    assert instances(demand.peak_fps, 250) == 12
    assert instances(demand.design_fps, 250) == 23


@given(st.integers(1, 10_000), st.floats(1e-3, 1e9))
def test_a_whole_number_of_instances_is_not_rounded_up(n, capacity):
    assert instances(n * capacity, capacity) == n
    assert instances(n * capacity * 1.001, capacity) in range(n + 1, n + 12)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Demand(peak_fps=0),
        lambda: Demand(peak_fps=1, margin=0.9),
        lambda: Demand(peak_fps=1, margin=float("nan")),
        lambda: instances(1, 0),
        lambda: Conditions(drain_s=0),
        lambda: Conditions(spare=-1),
        lambda: Conditions(exporters=0),
        lambda: Conditions(exporters=10**9),
    ],
)
def test_what_no_plan_can_be_made_of_is_a_usage_error(make):
    with pytest.raises(UsageError, match=r"wanted .* as in --"):
        make()


def test_a_number_is_as_good_as_its_weakest_input():
    assert weakest(Source.GIVEN, Source.MEASURED) is Source.MEASURED
    assert weakest(Source.MEASURED, Source.ASSUMED, Source.GIVEN) is Source.ASSUMED


def test_utilisation_cap():
    assert stalls.utilisation_cap(0.25, 1) == pytest.approx(0.80)
    assert stalls.utilisation_cap(1, 2) == pytest.approx(0.6667, rel=1e-3)


def test_receive_buffer():
    assert stalls.receive_buffer(1000, 0.25, 24) == pytest.approx(24_000)
    assert stalls.receive_buffer(1e6, 0.25, 24) == pytest.approx(24e6)
    assert stalls.buffer_setting(24_000) == 212_992
    assert stalls.buffer_setting(24e6) == 32 * 2**20
    assert stalls.buffer_setting(2**21) == 2**21


@given(st.floats(212_993, 1e12))
def test_the_buffer_to_ask_for_is_a_power_of_two_that_holds(octets):
    setting = stalls.buffer_setting(octets)
    assert setting >= octets
    assert setting < 2 * octets
    assert setting & (setting - 1) == 0


def test_binomial_tail_against_all_outcomes():
    assert share.binomial_tail(1, 3, 0.5) == pytest.approx(0.5)
    for k in range(-1, 7):
        exact = sum(
            0.3 ** sum(o) * 0.7 ** (6 - sum(o))
            for o in itertools.product((0, 1), repeat=6)
            if sum(o) > k
        )
        assert share.binomial_tail(k, 6, 0.3) == pytest.approx(exact, abs=1e-12)


# Busiest over mean, from the table in the reference: 20,000-cell convolution and Monte Carlo.
@pytest.mark.parametrize(
    ("count", "n", "equal", "zipf"),
    [
        (5, 2, 2.00, 2.00),
        (5, 4, 3.20, 3.21),
        (5, 8, 4.80, 5.55),
        (20, 2, 1.40, 1.63),
        (20, 4, 2.00, 2.51),
        (20, 8, 2.80, 4.03),
        (100, 2, 1.20, 1.45),
        (100, 4, 1.40, 2.04),
        (100, 8, 1.68, 3.12),
        (1000, 2, 1.06, 1.31),
        (1000, 4, 1.12, 1.75),
        (1000, 8, 1.21, 2.45),
    ],
)
def test_busiest_share_is_that_of_the_reference(count, n, equal, zipf):
    assert n * share.busiest_share(count, Weights.EQUAL, n) == pytest.approx(equal, abs=0.011)
    got = n * share.busiest_share(count, Weights.ZIPF, n)
    assert got >= zipf * 0.99
    assert got <= zipf * 1.1


@pytest.mark.parametrize("weights", list(Weights))
@pytest.mark.parametrize(("count", "n"), [(4, 2), (6, 3), (8, 3)])
def test_busiest_share_bounds_every_layout_enumerated(weights, count, n):
    rates = share.rates(count, weights)
    bound = share.busiest_share(count, weights, n)
    worse = total = 0
    for layout in itertools.product(range(n), repeat=count):
        loads = [0.0] * n
        for rate, instance in zip(rates, layout, strict=True):
            loads[instance] += rate
        worse += max(loads) > bound + 1e-9
        total += 1
    assert worse / total <= share.RISK


@pytest.mark.parametrize("weights", list(Weights))
@pytest.mark.parametrize("count", [3, 20, 300])
@pytest.mark.parametrize("limit", [0.05, 0.2, 0.5])
def test_fewest_fits_and_one_less_does_not(weights, count, limit):
    n = share.fewest(count, weights, limit)
    if n is None:
        assert share.rates(count, weights)[0] > limit
        assert share.fewest_by_table(count, weights, limit) is None
        return
    assert share.fits(count, weights, n, limit)
    assert not share.fits(count, weights, n - 1, limit)
    assert share.busiest_share(count, weights, n) <= limit * 1.02
    assert share.fewest_by_table(count, weights, limit) <= n


def test_recommended_when_exporters_are_unknown():
    demand = Demand(peak_fps=units.rate("10M/h"), margin=2)
    got = recommend(demand, 250, Conditions())
    assert got.instances == 28
    assert got.binding is Term.STALLS
    assert got.terms == {
        Term.ARITHMETIC: 23,
        Term.STALLS: 28,
        Term.IMBALANCE: None,
        Term.REDUNDANCY: 15,
    }
    assert got.busiest_share == pytest.approx(1 / 28)


def test_redundancy_binds_where_one_would_do():
    got = recommend(Demand(peak_fps=100, margin=2), 10_000, Conditions())
    assert (got.instances, got.binding) == (2, Term.REDUNDANCY)
    got = recommend(Demand(peak_fps=100, margin=2), 10_000, Conditions(spare=0))
    assert (got.instances, got.binding) == (1, Term.ARITHMETIC)


def test_the_worked_example_of_20_zipf_exporters():
    demand = Demand(peak_fps=units.rate("10M/h"), margin=2)
    got = recommend(demand, 3000, Conditions(exporters=20, weights=Weights.ZIPF))
    assert got.terms[Term.ARITHMETIC] == 2
    assert got.terms[Term.IMBALANCE] == pytest.approx(17, abs=1)
    assert got.binding is Term.IMBALANCE
    assert got.by_table == 3


def test_one_exporter_too_heavy_for_any_instance():
    got = recommend(Demand(peak_fps=1000, margin=2), 250, Conditions(exporters=4))
    assert got.binding is Term.HEAVIEST_EXPORTER
    assert not got.feasible
    assert got.terms[Term.IMBALANCE] is None
    assert got.instances == 10


@given(
    st.floats(1, 1e6),
    st.floats(1, 5),
    st.floats(1, 1e6),
    st.one_of(st.none(), st.integers(1, 60)),
)
def test_more_is_recommended_than_arithmetic_and_it_holds(peak, margin, capacity, exporters):
    demand = Demand(peak_fps=peak, margin=margin)
    got = recommend(demand, capacity, Conditions(exporters=exporters))
    assert got.instances >= instances(demand.design_fps, capacity)
    if got.feasible:
        assert got.busiest_share * demand.design_fps <= 0.8 * capacity * (1 + 1e-6)
