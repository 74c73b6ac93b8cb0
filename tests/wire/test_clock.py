"""Clock skew by session: last, least, most, and how far off at worst."""

import numpy as np

from clarion.wire.clock import SkewTracker
from clarion.wire.constants import SFLOW, V9
from clarion.wire.headers import Headers


def headers(rows: list[tuple[int, int, int]], version: int = V9) -> Headers:
    """Rows of (session, export_ms, receive_ms)."""
    n = len(rows)
    table = np.array(rows, np.int64).reshape(n, 3)
    zero = np.zeros(n, np.int64)
    return Headers(
        ordinal=np.arange(n),
        version=np.full(n, version, np.uint16),
        session=table[:, 0],
        domain=zero.astype(np.uint32),
        sequence=zero.astype(np.uint32),
        uptime_ms=zero.astype(np.uint32),
        export_ms=table[:, 1],
        sampling=zero.astype(np.uint16),
        count=zero.astype(np.uint16),
        address=np.zeros((n, 16), np.uint8),
        port=zero.astype(np.uint16),
        receive_ms=table[:, 2],
    )


ROWS = [(0, 1000, 1500), (2, 9000, 4000), (0, 2000, 2100), (-1, 0, 77), (0, 3000, 3300)]


def test_skew_is_receive_time_less_export_time():
    tracker = SkewTracker()
    tracker.observe(headers(ROWS))
    table = tracker.table()
    assert table.datagrams.tolist() == [3, 0, 1]
    assert table.last.tolist() == [300, 0, -5000]
    assert table.least.tolist() == [100, 0, -5000]
    assert table.most.tolist() == [500, 0, -5000]
    assert table.worst.tolist() == [500, 0, 5000]


def test_batches_cut_anyhow_say_the_same():
    whole, single = SkewTracker(), SkewTracker()
    whole.observe(headers(ROWS))
    for row in ROWS:
        single.observe(headers([row]))
    for name in ("datagrams", "last", "least", "most"):
        assert getattr(whole.table(), name).tolist() == getattr(single.table(), name).tolist()


def test_no_clock_no_skew():
    tracker = SkewTracker()
    tracker.observe(headers(ROWS, version=SFLOW))
    tracker.observe(headers([]))
    assert len(tracker.table()) == 0
