"""
Which datagram goes when, from whom: pure arithmetic, no clock.

Open loop: `floor(fps x elapsed)` records are due at any time, so a slow sender falls behind
visibly instead of slowing the clock. Data datagrams are numbered 0, 1, ... over all exporters;
datagram j carries `records` records and is due when its last record is; the last one of a run of
given duration carries what is left, so a run sends exactly floor(fps x duration) records.
`burst` datagrams in a row belong to one exporter, then the next exporter's turn comes.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Int64s = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """
    The plan of a run.

    Attributes:
        fps: records per second.
        records: records of a full datagram.
        exporters: how many take turns.
        burst: datagrams of one turn.
        total_records: None for a run without end.
        ipv6_share: share of each exporter's turns that carry IPv6 flows.

    """

    fps: float
    records: int
    exporters: int
    burst: int = 1
    total_records: int | None = None
    ipv6_share: float = 0.0

    @property
    def total_datagrams(self) -> int | None:
        """Data datagrams of the whole run."""
        if self.total_records is None:
            return None
        return -(-self.total_records // self.records)

    def records_through(self, datagrams: int) -> int:
        """Return the records in the first `datagrams` data datagrams."""
        carried = datagrams * self.records
        return carried if self.total_records is None else min(carried, self.total_records)

    def due_records(self, elapsed: float) -> int:
        """
        Return the records whose datagrams are due at `elapsed` seconds after the start.

        That is floor(fps x elapsed) but for those of a datagram that is still being filled.
        """
        due = max(0, math.floor(self.fps * elapsed))
        if self.total_records is not None and due >= self.total_records:
            return self.total_records
        return due - due % self.records

    def count(self, datagram: Int64s) -> Int64s:
        """Return the records of each data datagram."""
        if self.total_records is None:
            return np.full(len(datagram), self.records)
        return np.minimum(self.records, self.total_records - datagram * self.records)

    def due(self, datagram: Int64s) -> NDArray[np.float64]:
        """Return when each is due, in seconds after the start."""
        last = (datagram + 1) * self.records
        if self.total_records is not None:
            last = np.minimum(last, self.total_records)
        seconds: NDArray[np.float64] = last / self.fps
        return seconds

    def due_ms(self, datagram: Int64s) -> Int64s:
        """Return when each is due, in whole milliseconds after the start: its export clock."""
        whole: Int64s = np.floor(self.due(datagram) * 1000.0).astype(np.int64)
        return whole

    def exporter(self, datagram: Int64s) -> Int64s:
        """Return the exporter of each."""
        return datagram // self.burst % self.exporters

    def ordinal(self, datagram: Int64s) -> Int64s:
        """Return the number of each among its exporter's data datagrams, from 0."""
        turn = datagram // (self.burst * self.exporters)
        return turn * self.burst + datagram % self.burst

    def datagram(self, exporter: int | Int64s, ordinal: Int64s) -> Int64s:
        """Return the number over all exporters: the inverse of `exporter` and `ordinal`."""
        turn = ordinal // self.burst
        return (turn * self.exporters + exporter) * self.burst + ordinal % self.burst

    def ipv6(self, ordinal: Int64s) -> NDArray[np.bool_]:
        """Return whether each of an exporter's datagrams carries IPv6 flows."""
        turn = ordinal // self.burst
        share = self.ipv6_share
        return np.asarray(np.floor((turn + 1) * share) > np.floor(turn * share))

    def sent_by(self, datagrams: int) -> Int64s:
        """Return how many of the first `datagrams` data datagrams are each exporter's, (K,)."""
        turns, rest = divmod(datagrams, self.burst * self.exporters)
        first = np.arange(self.exporters, dtype=np.int64) * self.burst
        return turns * self.burst + np.clip(rest - first, 0, self.burst)
