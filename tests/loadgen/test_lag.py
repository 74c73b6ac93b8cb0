import numpy as np
import pytest

from clarion.loadgen.lag import LagHistogram


def test_percentiles_are_within_two_percent():
    lag = np.random.default_rng(1).lognormal(-7, 1, 20_000)
    histogram = LagHistogram()
    for part in np.array_split(lag, 9):
        histogram.add(part)

    for share in (0.1, 0.5, 0.9, 0.99):
        assert histogram.quantile(share) == pytest.approx(np.quantile(lag, share), rel=0.03)
    assert histogram.max_s == lag.max()


def test_early_and_very_late():
    histogram = LagHistogram()
    histogram.add(np.array([-0.001, 0.0, 5000.0]))

    assert histogram.summary() == {"p50": 0.001, "p99": pytest.approx(5e6, rel=0.9), "max": 5e6}


def test_nothing():
    histogram = LagHistogram()
    histogram.add(np.empty(0))

    assert histogram.summary() == {"p50": 0.0, "p99": 0.0, "max": 0.0}
