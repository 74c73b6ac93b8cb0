"""
The run: datagrams written ahead, sent when they are due.

The loop has two steps. A batch of some milliseconds' datagrams is written and described to the
kernel, all in whole columns; then, each tick, the part of it that is due goes with one system
call. The sending order is the schedule's, so what went is always its beginning: counts of
datagrams say exactly which records were sent.
"""

import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np

from clarion.errors import NetError
from clarion.loadgen.config import Config
from clarion.loadgen.datagrams import Batch, DatagramWriter
from clarion.loadgen.lag import LagHistogram
from clarion.loadgen.script import Script, make_script
from clarion.net.send import Sender, own_address

_TICK_S: Final = 0.001
_LONGEST_SLEEP_S: Final = 0.1  # how late a wish to stop may be seen
_MOST_DATAGRAMS: Final = 512  # of a batch: some 700 kB, which stay in the processor's cache
_AHEAD_S: Final = 0.02  # how much of the schedule is written at a time
_LEAD_S: Final = 0.1  # between the first template and the first record
_TEMPLATES_PER_S: Final = 20_000  # at the start: a default receive buffer holds some 280
# After the end of the schedule, what is due already may still go for this long.
_GRACE_S: Final = 1.0
_REPORT_S: Final = 0.25


@dataclass(slots=True)
class Totals:
    """
    What has been sent so far.

    Attributes:
        elapsed_s: time since the first record was due; 0 before.
        records: data records sent.
        due: data records that should have been sent by now.
        data_datagrams: datagrams with data.
        template_datagrams: datagrams with templates.
        octets: UDP payload of all.
        stopped: whether the run was told to end early.
        retries: times the kernel had no room and was asked again.
        cpu_s: processor time of this process.
        failure: why sending ended early, empty if it did not.
        lag: how late datagrams went.

    """

    elapsed_s: float = 0.0
    records: int = 0
    due: int = 0
    data_datagrams: int = 0
    template_datagrams: int = 0
    octets: int = 0
    stopped: bool = False
    retries: int = 0
    cpu_s: float = 0.0
    failure: str = ""
    lag: LagHistogram = field(default_factory=LagHistogram, repr=False)

    @property
    def sent_fps(self) -> float:
        """Records per second, over the whole run."""
        return self.records / self.elapsed_s if self.elapsed_s > 0 else 0.0

    @property
    def unsent(self) -> int:
        """Records that were due and did not go."""
        return self.due - self.records


@dataclass(frozen=True, slots=True)
class Result:
    """A finished run: its script and what of it was sent."""

    script: Script
    totals: Totals

    def summary(self) -> dict[str, Any]:
        """Return the contract's summary object."""
        totals, config = self.totals, self.script.config
        return {
            "event": "summary",
            "protocol": str(config.protocol),
            "exporters": config.exporters,
            "records_per_datagram": self.script.schedule.records,
            "records_sent": totals.records,
            "records_unsent": totals.unsent,
            "datagrams_sent": totals.data_datagrams + totals.template_datagrams,
            "template_datagrams_sent": totals.template_datagrams,
            "octets_sent": totals.octets,
            "seconds": round(totals.elapsed_s, 6),
            "intended_fps": config.fps,
            "sent_fps": round(totals.sent_fps, 3),
            "lag_ms": totals.lag.summary(),
            "cpu_seconds": round(totals.cpu_s, 3),
            "send_retries": totals.retries,
            "stopped": totals.stopped,
        }


Report = Callable[[Totals], None]


def run(
    config: Config,
    *,
    stop: Callable[[], bool] = lambda: False,
    report: Report = lambda _: None,
) -> Result:
    """
    Send the load.

    Args:
        config: what to send.
        stop: asked every tick; True ends the run, what was sent stays accounted for.
        report: given the totals a few times a second.

    Raises:
        UsageError: settings that cannot be meant together.
        NetError: the target cannot be used at all. A failure once records go ends the run and is
            in `Totals.failure`, so that the records sent before it are still known.

    """
    if config.cpu is not None:
        _pin(config.cpu)
    address = own_address(config.host, config.port)
    script = make_script(config, own_address=address)
    sender = Sender(config.host, config.port, sources=script.exporters.source, gso=config.gso)
    with sender:
        # Template datagrams go in the lead; wall clock and monotonic clock are read together.
        lead = _LEAD_S + config.exporters / _TEMPLATES_PER_S
        start, wall_ms = time.monotonic() + lead, time.time_ns() // 1_000_000
        script = replace(script, start_ms=wall_ms + round(lead * 1000))
        return _Run(script, sender, start, stop, report).run()


class _Run:
    """One run's loop and its state."""

    def __init__(
        self, script: Script, sender: Sender, start: float, stop: Callable[[], bool], report: Report
    ) -> None:
        schedule, config = script.schedule, script.config
        ahead = config.fps / schedule.records * _AHEAD_S
        self._most = max(1, min(_MOST_DATAGRAMS, math.ceil(ahead)))
        self._script, self._sender, self._start = script, sender, start
        self._stop, self._report = stop, report
        self._writer = DatagramWriter(script, most=max(self._most, 64))
        self._totals = Totals()
        self._next_report = self._tick = start
        self._ended: float | None = None  # when the run was stopped or ran out of time
        self._deadline = math.inf
        if config.duration_s is not None:
            self._deadline = start + config.duration_s + _GRACE_S

    def run(self) -> Result:
        """Send everything; the totals are complete however it ends."""
        totals, schedule = self._totals, self._script.schedule
        cpu = time.process_time()
        self._announce()
        end = math.inf if schedule.total_datagrams is None else schedule.total_datagrams
        at = 0
        while at < end and self._ended is None:
            last = int(min(at + self._most, end))
            self._play(self._writer.data(at, last))
            at = last
        self._wait_for_end()
        ended = time.monotonic() if self._ended is None else self._ended
        self._update(ended)
        totals.cpu_s = time.process_time() - cpu
        totals.retries = self._sender.retries
        return Result(self._script, totals)

    def _announce(self) -> None:
        """Send every exporter's templates, paced, before the first record is due."""
        if not self._script.stocks or self._script.config.protocol == "v5":
            return
        count, step = self._script.config.exporters, 20
        begin = time.monotonic()
        for first in range(0, count, step):
            batch = self._writer.templates(first, min(first + step, count))
            ends = self._sender.load(batch.octets, batch.start, batch.length, batch.exporter)
            sent = 0
            while sent < len(ends):
                sent += self._sender.send(sent, len(ends))
                if self._stop():
                    self._end(time.monotonic(), stopped=True)
                    break
            self._count(batch, 0, int(ends[sent - 1]) if sent else 0)
            if self._ended is not None:
                return
            _sleep_until(begin + (first + step) / _TEMPLATES_PER_S)

    def _play(self, batch: Batch) -> None:
        """Send a batch, each part when it is due, unless the run ends before."""
        totals = self._totals
        ends = self._sender.load(batch.octets, batch.start, batch.length, batch.exporter)
        due = self._start + batch.due[ends - 1]  # a message goes when its last datagram is due
        went = np.empty(len(batch.due))
        sent = counted = after = 0
        while sent < len(ends):
            now = time.monotonic()
            if now > self._deadline or self._stop():  # what is due by now still goes
                self._end(now, stopped=now <= self._deadline)
            elif (wait := self._until(float(due[sent])) - now) > 0:
                time.sleep(min(wait, _LONGEST_SLEEP_S))
                continue
            self._tick = now
            ready = int(np.searchsorted(due, now, "right"))
            if ready > sent:
                try:
                    sent += self._sender.send(sent, ready)
                except NetError as err:
                    totals.failure = str(err)
                    self._end(now, stopped=False)
                before, after = after, int(ends[sent - 1]) if sent else 0
                went[before:after] = time.monotonic()
            reporting = now >= self._next_report
            if reporting or sent == len(ends) or self._ended is not None:
                self._count(batch, counted, after)
                totals.lag.add(went[counted:after] - (self._start + batch.due[counted:after]))
                counted = after
            if reporting:
                self._update(now)
                self._report(totals)
                self._next_report = now + _REPORT_S
            if self._ended is not None:
                break

    def _until(self, due: float) -> float:
        """
        Return when to send a datagram due at `due`.

        Never two ticks within a millisecond, so that what comes due meanwhile goes together; but
        at once what was due at the last tick already and did not fit its batch.
        """
        return due if due <= self._tick else max(due, self._tick + _TICK_S)

    def _end(self, now: float, *, stopped: bool) -> None:
        self._ended, self._totals.stopped = now, stopped

    def _count(self, batch: Batch, first: int, last: int) -> None:
        """Count datagrams [first, last) of a batch as sent."""
        records = batch.records[first:last]
        data = int(np.count_nonzero(records))
        self._totals.records += int(records.sum())
        self._totals.data_datagrams += data
        self._totals.template_datagrams += len(records) - data
        self._totals.octets += int(batch.length[first:last].sum())

    def _wait_for_end(self) -> None:
        """Let the run last its full time, though its last record may have been due before."""
        duration = self._script.config.duration_s
        if duration is None:
            return
        end = self._start + duration
        while self._ended is None and (now := time.monotonic()) < end:
            _sleep_until(min(end, now + _LONGEST_SLEEP_S))
            if self._stop():
                self._end(time.monotonic(), stopped=True)

    def _update(self, now: float) -> None:
        """Bring elapsed time and what is due up to now."""
        totals = self._totals
        totals.elapsed_s = max(0.0, now - self._start)
        totals.due = max(totals.records, self._script.schedule.due_records(totals.elapsed_s))


def _sleep_until(when: float) -> None:
    wait = when - time.monotonic()
    if wait > 0:
        time.sleep(wait)


def _pin(cpu: int) -> None:
    """Stay on one processor; raises NetError where it is not ours."""
    try:
        os.sched_setaffinity(0, {cpu})
    except (OSError, ValueError) as err:
        allowed = sorted(os.sched_getaffinity(0))
        raise NetError(f"cannot stay on processor {cpu}; this process may use {allowed}") from err
