"""
Clock skew: how far exporters' header clocks are from the receive clock, session by session.

A difference holds the transit time too: the least of them is the best estimate of the skew.
"""

from dataclasses import dataclass

import numpy as np

from clarion.wire.constants import SFLOW
from clarion.wire.headers import Headers
from clarion.wire.octets import Int64s

_NONE = np.iinfo(np.int64)


@dataclass(frozen=True, slots=True)
class SkewTable:
    """
    Receive time less export time of S sessions, as (S,) int64 arrays, in milliseconds.

    Positive where the exporter's clock is behind ours. v9 and IPFIX cut their clock to seconds
    (RFC 3954 5.1, RFC 7011 3.1), so that a clock without skew shows 0 to 999.

    Attributes:
        datagrams: how many had a clock; the others are 0 where this is 0.
        last: of the datagram that came last.
        least: smallest.
        most: largest.

    """

    datagrams: Int64s
    last: Int64s
    least: Int64s
    most: Int64s

    def __len__(self) -> int:
        return len(self.last)

    @property
    def worst(self) -> Int64s:
        """(S,) int64, largest difference in either direction, not negative."""
        return np.maximum(abs(self.least), abs(self.most))


class SkewTracker:
    """Follows the header clock of every session of a decoder: 32 octets a session."""

    def __init__(self) -> None:
        self._rows = np.zeros((4, 0), np.int64)

    def observe(self, headers: Headers) -> None:
        """Follow a batch: (N,) rows; those without session or clock (sFlow) are passed over."""
        clocked = np.flatnonzero((headers.session >= 0) & (headers.version != SFLOW))
        if not len(clocked):
            return
        session = headers.session[clocked]
        skew = (headers.receive_ms - headers.export_ms)[clocked]
        sessions = int(session.max()) + 1
        self._grow(sessions)
        datagrams, last, least, most = self._rows
        datagrams[:sessions] += np.bincount(session)
        np.minimum.at(least, session, skew)
        np.maximum.at(most, session, skew)
        # Of several assignments to one place numpy does not promise the last: find it.
        newest = np.full(sessions, -1)
        np.maximum.at(newest, session, np.arange(len(session)))
        newest = newest[newest >= 0]
        last[session[newest]] = skew[newest]

    def table(self) -> SkewTable:
        """Return the figures so far, copied; (S,) up to the last session that was seen."""
        seen = np.flatnonzero(self._rows[0])
        rows = self._rows[:, : int(seen[-1]) + 1 if len(seen) else 0].copy()
        rows[:, rows[0] == 0] = 0
        return SkewTable(*rows)

    def _grow(self, sessions: int) -> None:
        have = self._rows.shape[1]
        if sessions > have:
            more = np.zeros((4, max(sessions, 2 * have) - have), np.int64)
            more[2], more[3] = _NONE.max, _NONE.min
            self._rows = np.concatenate([self._rows, more], axis=1)
