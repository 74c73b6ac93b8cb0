import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clarion.loadgen.schedule import Schedule

schedules = st.builds(
    Schedule,
    fps=st.floats(0.5, 1e7),
    records=st.integers(1, 40),
    exporters=st.integers(1, 9),
    burst=st.integers(1, 5),
    total_records=st.none() | st.integers(0, 2000),
    ipv6_share=st.floats(0, 1),
)


def numbers(schedule, most=300):
    total = schedule.total_datagrams
    return np.arange(most if total is None else min(total, most))


@given(schedules)
def test_exporter_and_ordinal_name_a_datagram(schedule):
    datagram = numbers(schedule)

    exporter, ordinal = schedule.exporter(datagram), schedule.ordinal(datagram)

    assert (schedule.datagram(exporter, ordinal) == datagram).all()
    for k in range(schedule.exporters):
        own = ordinal[exporter == k]
        assert own.tolist() == list(range(len(own)))


@given(schedules)
def test_sent_by_counts_each_exporters_first_datagrams(schedule):
    datagram = numbers(schedule)

    counted = np.bincount(schedule.exporter(datagram), minlength=schedule.exporters)

    assert schedule.sent_by(len(datagram)).tolist() == counted.tolist()


@given(schedules)
def test_a_run_sends_exactly_its_records(schedule):
    datagram = numbers(schedule, most=3000)
    counts = schedule.count(datagram)

    assert schedule.records_through(len(datagram)) == counts.sum()
    assert (counts[:-1] == schedule.records).all()
    assert (counts > 0).all()
    if schedule.total_records is not None:
        assert counts.sum() == schedule.total_records


@given(schedules)
def test_datagrams_are_due_in_order_when_their_last_record_is(schedule):
    datagram = numbers(schedule)
    due = schedule.due(datagram)

    through = np.cumsum(schedule.count(datagram))
    assert due == pytest.approx(through / schedule.fps)
    assert (np.diff(due) >= 0).all()
    assert schedule.due_ms(datagram).tolist() == [int(t * 1000) for t in due.tolist()]


@given(schedules, st.floats(0, 100))
def test_what_is_due_is_the_rate_times_the_time(schedule, elapsed):
    due = schedule.due_records(elapsed)

    exact = schedule.fps * elapsed
    if schedule.total_records is not None and exact >= schedule.total_records:
        assert due == schedule.total_records
    else:
        assert exact - schedule.records < due <= exact


@given(st.floats(0, 1), st.integers(1, 5))
def test_the_ipv6_share_is_kept(share, burst):
    schedule = Schedule(fps=1, records=1, exporters=1, burst=burst, ipv6_share=share)

    ipv6 = schedule.ipv6(np.arange(1000 * burst))

    assert abs(ipv6.mean() - share) <= 1 / 1000 + 1e-9
    assert (ipv6.reshape(-1, burst) == ipv6.reshape(-1, burst)[:, :1]).all()
