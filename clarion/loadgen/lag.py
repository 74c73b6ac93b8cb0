"""
How late datagrams went: a histogram of fixed size, whatever the length of the run.

Bins grow by 2 %, so a percentile is within 2 % of the true one; the largest value is exact.
"""

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

_GROWTH: Final = math.log(1.02)
_SMALLEST_S: Final = 1e-6
_BINS: Final = 1024  # up to 640 s


class LagHistogram:
    """Counts of lags: seconds between when a datagram was due and when it went."""

    def __init__(self) -> None:
        self._counts = np.zeros(_BINS, np.int64)
        self.max_s = 0.0

    def add(self, lag_s: NDArray[np.float64]) -> None:
        """Count the lags of some datagrams."""
        if not len(lag_s):
            return
        positive = np.maximum(lag_s, _SMALLEST_S)
        bins = (np.log(positive / _SMALLEST_S) / _GROWTH).astype(np.int64)
        self._counts += np.bincount(np.minimum(bins, _BINS - 1), minlength=_BINS)
        self.max_s = max(self.max_s, float(lag_s.max()))

    def quantile(self, share: float) -> float:
        """Return the lag, in seconds, that this share of datagrams did not exceed."""
        total = int(self._counts.sum())
        if not total:
            return 0.0
        place = int(np.searchsorted(np.cumsum(self._counts), share * total))
        upper = _SMALLEST_S * math.exp((min(place, _BINS - 1) + 1) * _GROWTH)
        return min(upper, self.max_s)

    def summary(self) -> dict[str, float]:
        """Return p50, p99 and max in milliseconds."""
        return {
            "p50": round(self.quantile(0.5) * 1e3, 3),
            "p99": round(self.quantile(0.99) * 1e3, 3),
            "max": round(self.max_s * 1e3, 3),
        }
