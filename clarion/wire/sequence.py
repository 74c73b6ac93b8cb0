"""
Sequence tracking: what was lost between exporter and collector, session by session.

Each protocol in its own unit (see `Unit`). A batch is sorted by session and each datagram held
against the one before it, all at once; only sessions in which one does not follow the other are
taken a datagram at a time (`sequence_state`). The figures do not depend on how the stream is cut
into batches.

What is decided where sequence numbers alone cannot tell:

- The first datagram of a session only synchronises. Older ones that come after it are reordered.
- A late datagram is put in its place within a window of the session's datagrams: what it fills is
  recovered. One that fills nothing has come before (duplicate), or, where that is not known any
  more, is reordered. A datagram without units (IPFIX templates alone) that is late is reordered.
- A counter started over if uptime went back while the boot time moved (v5, v9, sFlow); if a
  datagram is behind, yet was exported 2 s or more later; or after a window of nothing but late
  ones, for exporters without a clock. Nothing is counted as lost.
- Behind an IPFIX message whose records could not all be counted (a set without template, or
  malformed) the next message synchronises anew if it is ahead: no loss is counted, so that `lost`
  never is too high. If it is behind, it is late or a restart like any other.
- An exporter that counts a message's own records into its number (softflowd's IPFIX) is found out
  by messages that would overlap; what its numbers seemed to lose within the window is recovered.

Two exporters that share a session (one address by NAT, one domain) look like one that starts over
again and again: `restarted` that keeps growing says so. One exporter's datagrams must reach one
tracker: shared out over several, each would see gaps.
"""

from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from clarion.wire.constants import SFLOW
from clarion.wire.decode import Decoded
from clarion.wire.headers import Headers
from clarion.wire.octets import Int64s
from clarion.wire.sequence_state import MASK, UNCOUNTED, Arrival, SessionStates
from clarion.wire.sequence_table import SequenceTable
from clarion.wire.sequence_units import UNIT, SequenceUnits, Unit, sequence_units

_T = TypeVar("_T", bound=np.generic)


class SequenceTracker:
    """
    Follows the sequence numbers of every session of a decoder.

    Memory: 144 octets a session, and up to 25 MiB for gaps that may still be filled.

    Args:
        window: datagrams of a session within which a late one is still put in its place.

    """

    WINDOW: Final = 256

    def __init__(self, *, window: int = WINDOW) -> None:
        self._states = SessionStates(window)
        self._sessions = 0

    def observe(self, decoded: Decoded) -> None:
        """Follow a batch as the decoder gives it; every batch, in order."""
        self.track(decoded.headers, *sequence_units(decoded))

    def track(
        self,
        headers: Headers,
        units: Int64s,
        unknowable: NDArray[np.bool_],
        options: Int64s | None = None,
    ) -> None:
        """
        Follow a batch.

        Args:
            headers: (N,) rows; those without session or sequence number are passed over.
            units: (N,) int64, how far each datagram advances its session's sequence number.
            unknowable: (N,) bool, whether `units` is only a lower bound.
            options: (N,) int64, how many of the units are options records; none if left out.

        """
        session = headers.session
        self._sessions = max(self._sessions, int(session.max(initial=-1)) + 1)
        followed = (session >= 0) & (UNIT[headers.version] != Unit.NONE)
        if not followed.all():
            taken = np.flatnonzero(followed)
            order = taken[_order(session[taken])]
        else:
            order = _order(session)
        if len(order):
            self._states.grow(self._sessions)
            none = np.zeros(1, np.int64)
            options = np.broadcast_to(none, units.shape) if options is None else options
            found = SequenceUnits(units, unknowable, options)
            _BatchTracking(self._states, headers, found, order).run()

    def table(self) -> SequenceTable:
        """Return the figures so far, copied; (S,) up to the last session that was seen."""
        self._states.grow(self._sessions)
        names = SequenceTable.__dataclass_fields__
        return SequenceTable(
            **{name: self._states.column(name)[: self._sessions].copy() for name in names}
        )


class _BatchTracking:
    """One batch, sorted by session: (M,) columns, and (G,) groups of datagrams of a session."""

    def __init__(
        self,
        states: SessionStates,
        headers: Headers,
        found: SequenceUnits,
        order: Int64s,
    ) -> None:
        self._states = states
        session = headers.session[order]
        self._version = headers.version[order]
        self._sequence = headers.sequence[order].astype(np.int64)
        self._uptime = headers.uptime_ms[order].astype(np.int64)
        # sFlow has no clock.
        self._export = np.where(self._version == SFLOW, 0, headers.export_ms[order])
        self._all_units = self._units = found.units[order]
        self._unknowable = found.unknowable[order]
        self._options = found.options[order]
        new = np.flatnonzero(session[1:] != session[:-1]) + 1
        self._head = np.concatenate([np.zeros(1, np.int64), new])
        self._end = np.append(new, len(order))
        self._rows = session[self._head]
        self._begin = self._sequence
        # Which leave in doubt where the next one begins, and which where they begin themselves.
        self._blinding, self._blinded = self._unknowable, np.zeros(1, np.bool_)
        counted = states.column("own_counted")[self._rows]
        if counted.any():
            own: Int64s = np.repeat(counted, self._end - self._head)
            self._units = self._units - own * self._options
            self._begin = self._begin - own * self._units
            self._blinding = self._unknowable & (own == 0)
            self._blinded = self._unknowable & (own == 1)

    def run(self) -> None:
        column, rows, head = self._states.column, self._rows, self._head
        fresh = column("synchronised")[rows] == 0
        if fresh.any():
            new, begin = rows[fresh], self._begin[head[fresh]]
            column("next")[new] = column("floor")[new] = begin
            column("version")[new] = self._version[head[fresh]]
            column("synchronised")[new] = 1
        expected = _preceding(self._begin + self._units, head, column("next")[rows])
        ahead = (self._begin - expected) & MASK
        jumped = ahead != 0
        if not jumped.any():
            self._all_at_once(slice(None))
            return
        unsure = _preceding(self._blinding, head, column("blind")[rows] != 0) | self._blinded
        odd = np.logical_or.reduceat(jumped & ~(unsure & (ahead < UNCOUNTED)), head)
        place = np.where(jumped, np.arange(len(jumped)), -1)
        jump = np.maximum.reduceat(place, head)
        self._raise_floors(np.flatnonzero(~odd & (jump >= 0)), jump)
        self._all_at_once(np.flatnonzero(~odd))
        self._one_by_one(np.flatnonzero(odd))

    def _raise_floors(self, groups: Int64s, jump: Int64s) -> None:
        """Note where groups began anew behind an uncounted datagram; `jump` (G,): at which."""
        rows = self._rows[groups]
        before = self._states.column("next")[rows]
        floor = before + ((self._begin[jump[groups]] - before) & MASK)
        self._states.column("floor")[rows] = floor

    def _all_at_once(self, groups: Int64s | slice) -> None:
        """Take in groups whose datagrams follow each other."""
        column, rows, end = self._states.column, self._rows[groups], self._end[groups]
        last = end - 1
        before = column("next")[rows]
        column("next")[rows] = before + ((self._begin[last] + self._units[last] - before) & MASK)
        flows = self._all_units[last] - self._options[last]
        column("datagrams")[rows] += end - self._head[groups]
        if self._unknowable.any():
            uncounted = np.add.reduceat(self._unknowable.astype(np.int64), self._head)
            column("unknowable")[rows] += uncounted[groups]
            flows = np.where(self._unknowable[last], 0, flows)
        column("blind")[rows] = self._blinding[last]
        column("late_run")[rows] = 0
        column("last_sequence")[rows] = self._sequence[last]
        column("last_flows")[rows] = flows
        column("export_ms")[rows] = self._export[last]
        column("uptime_ms")[rows] = self._uptime[last]

    def _one_by_one(self, groups: Int64s) -> None:
        columns = (
            self._version, self._sequence, self._all_units, self._options, self._unknowable,
            self._export, self._uptime,
        )  # fmt: skip
        for group in groups.tolist():
            part = slice(int(self._head[group]), int(self._end[group]))
            arrivals = map(Arrival, *(column[part].tolist() for column in columns))
            self._states.follow(int(self._rows[group]), arrivals)


def _order(session: Int64s) -> Int64s:
    """Sort by session, in order of arrival within each; two-octet keys sort in linear time."""
    if len(session) and session.max() < 65536:
        return np.argsort(session.astype(np.uint16), kind="stable")
    return np.argsort(session, kind="stable")


def _preceding(column: NDArray[_T], head: Int64s, before: NDArray[_T]) -> NDArray[_T]:
    """Return the value of the datagram before each; `before` (G,) at the head of each group."""
    shifted = np.empty_like(column)
    shifted[1:] = column[:-1]
    shifted[head] = before
    return shifted
