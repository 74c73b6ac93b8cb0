"""
Did the trial pass? Zero loss, everything delivered, and a backlog that does not grow.

A socket buffer makes a short zero-loss trial lie: what it holds is not lost yet. So a trial also
fails when the records sent but not processed keep growing, or the buffer was half full. Rule:
pure functions of what the two processes said.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from clarion.measure.search import Outcome
from clarion.measurement import Trial

# The tester kept its rate when it offered at least this much of it.
OFFERED_SHARE = 0.995
SOCKET_FILL_LIMIT = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """
    One progress line of the collector; `at` is our monotonic clock in seconds.

    Counts are since its start; `socket_fill`, `rcvbuf` and `queue_octets` in octets.
    """

    at: float
    datagrams_received: int
    records_received: int
    socket_fill: int
    rcvbuf: int
    queue_octets: int
    cpu_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """The load generator's summary; `ended_at` is our monotonic clock when it came."""

    ended_at: float
    intended_fps: float
    sent_fps: float
    records: int
    unsent: int
    datagrams: int
    octets: int
    records_per_datagram: float
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """The collector's summary."""

    received: int
    delivered: int
    in_flight: int
    losses: Mapping[str, int]
    cpu_seconds: float
    peak_rss_bytes: int


@dataclass(frozen=True, slots=True)
class Backlog:
    """Records sent and not processed: at the end of sending, and how many more than before."""

    end: int
    growth: float


def backlog(sent: Sent, samples: Sequence[Sample]) -> Backlog:
    """
    How the backlog moved while the load was on.

        B(t) = sent(t) - received(t) + queued(t)
        growth = min B over the last third - min B over the middle third

    The least of each third, since batches make B a saw: its lower edge is flat when the collector
    keeps up, whatever the height of the teeth. sent(t) is the open-loop schedule; the queue is
    counted in records by the octets a record takes on the wire.

    At 1,000/s for 9 s, a collector that takes 900/s: growth is 100/s x 3 s = 300.
    """
    octets_a_record = max(1.0, sent.octets / max(1, sent.records))
    begin = sent.ended_at - sent.seconds
    thirds: list[list[float]] = [[], [], []]
    for sample in samples:
        part = (sample.at - begin) / sent.seconds if sent.seconds else -1.0
        if not 0 <= part < 1:
            continue
        behind = sent.records * part - sample.records_received
        thirds[int(part * 3)].append(behind + sample.queue_octets / octets_a_record)
    _, middle, last = thirds
    if not middle or not last:
        return Backlog(0, 0.0)
    return Backlog(max(0, round(min(last))), min(last) - min(middle))


def cores(sent: Sent, samples: Sequence[Sample]) -> float:
    """
    Processors the collector used while the load was on; 0 where too little was seen.

    Start-up and the last flush are not in it: CPU seconds over seconds between the first and
    the last sample within the sending.
    """
    begin = sent.ended_at - sent.seconds
    during = [one for one in samples if begin <= one.at <= sent.ended_at]
    if len(during) < 2 or during[-1].at <= during[0].at:
        return 0.0
    first, last = during[0], during[-1]
    return max(0.0, (last.cpu_seconds - first.cpu_seconds) / (last.at - first.at))


def judge(
    sent: Sent, collected: Collected, samples: Sequence[Sample], *, width: float
) -> tuple[Trial, Outcome]:
    """
    The trial's row and its outcome.

    Args:
        sent: what was offered.
        collected: what became of it.
        samples: progress of the collector, oldest first.
        width: relative; the backlog may grow by this share of what was offered meanwhile.

    A loss fails the load even where the tester fell short of it; a tester that fell short
    without a loss says nothing about the collector.
    """
    before = [sample for sample in samples if not sample.datagrams_received]
    fill = max((one.socket_fill / one.rcvbuf for one in samples if one.rcvbuf), default=0.0)
    behind = backlog(sent, samples)
    reason, outcome = _verdict(sent, collected, behind, fill, width)
    trial = Trial(
        intended_fps=sent.intended_fps,
        offered_fps=sent.sent_fps,
        delivered_fps=collected.delivered / sent.seconds if sent.seconds else 0.0,
        seconds=sent.seconds,
        records_sent=sent.records,
        records_received=collected.received,
        records_delivered=collected.delivered,
        losses=dict(collected.losses),
        cpu_seconds=max(0.0, collected.cpu_seconds - (before[-1].cpu_seconds if before else 0.0)),
        peak_rss_bytes=collected.peak_rss_bytes,
        backlog_records=behind.end,
        socket_fill=min(1.0, fill),
        passed=outcome is Outcome.PASSED,
        cpu_cores=cores(sent, samples),
        reason=reason,
    )
    return trial, outcome


def _verdict(
    sent: Sent, collected: Collected, behind: Backlog, fill: float, width: float
) -> tuple[str, Outcome]:
    """Why the trial did not pass, or nothing."""
    lost = [f"{name} {count:,}" for name, count in collected.losses.items() if count]
    if lost:
        return f"lost: {', '.join(lost)}", Outcome.FAILED
    if collected.delivered != sent.records:
        return (
            f"delivered {collected.delivered:,} of {sent.records:,} records sent",
            Outcome.FAILED,
        )
    if collected.in_flight:
        return f"{collected.in_flight:,} records still in flight at the end", Outcome.FAILED
    if fill >= SOCKET_FILL_LIMIT:
        return f"receive buffer {fill:.0%} full", Outcome.FAILED
    if sent.unsent or sent.sent_fps < OFFERED_SHARE * sent.intended_fps:
        share = sent.sent_fps / sent.intended_fps if sent.intended_fps else 0.0
        return f"the tester offered {share:.1%} of the load", Outcome.TESTER
    if behind.growth > width * sent.records / 3:
        return f"backlog grew by {behind.growth:,.0f} records", Outcome.FAILED
    return "", Outcome.PASSED
