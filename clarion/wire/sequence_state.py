"""
One session's sequence numbers, a datagram at a time: what came late, twice, or never.

Positions are sequence numbers carried on past 2^32, so that they compare as plain integers. What
is kept beside the state is the gaps that a late datagram may still fill; everything else between
the floor and the next position has come, so that a copy is known without a list of what came.
"""

from collections.abc import Iterable
from dataclasses import dataclass, fields
from operator import attrgetter
from typing import Final, NamedTuple

import numpy as np

from clarion.wire.constants import IPFIX
from clarion.wire.octets import Int64s
from clarion.wire.sequence_gaps import Gap, Gaps

MODULUS: Final = 1 << 32
MASK: Final = MODULUS - 1
# A step of at least this much is a step back. Not half the circle: an exporter that starts over
# at 0 is behind wherever its counter stood, and no outage loses 268 million units in a session.
FORWARD: Final = 1 << 28
# More data records than a message can have: what a message that was not counted may explain.
UNCOUNTED: Final = 1 << 16
# Clocks in v9 and IPFIX headers are cut to seconds: what differs by less does not differ.
CLOCK_MS: Final = 2000


@dataclass(slots=True)
class SessionState:
    """
    What is known of a session: all are integers, a column of one array.

    Attributes:
        version: as in `Headers`.
        synchronised: whether a datagram has come.
        blind: whether it is in doubt where the newest datagram's units end.
        own_counted: whether the exporter counts a message's own flow records into its number.
        next: position expected next; its low 32 bits are a sequence number.
        floor: position below which it is not known what came.
        last_sequence: sequence number of the datagram that came last.
        last_flows: its units without options records, 0 where not all are known.
        export_ms: header clock of the newest datagram, milliseconds since 1970.
        uptime_ms: sysUpTime of the newest datagram, milliseconds.
        late_run: late datagrams since the newest one.

    The others are those of `SequenceTable`.

    """

    version: int
    synchronised: int
    blind: int
    own_counted: int
    next: int
    floor: int
    last_sequence: int
    last_flows: int
    export_ms: int
    uptime_ms: int
    late_run: int
    datagrams: int
    missed: int
    recovered: int
    reordered: int
    duplicate: int
    restarted: int
    unknowable: int


_NAMES = tuple(f.name for f in fields(SessionState))
_values = attrgetter(*_NAMES)
_ROW = {name: row for row, name in enumerate(_NAMES)}


class Arrival(NamedTuple):
    """
    What sequence tracking needs of one datagram; `unknowable` when its units are not all known.

    `units` are what its protocol numbers, `options` those of them that are options records.
    """

    version: int
    sequence: int
    units: int
    options: int
    unknowable: bool
    export_ms: int
    uptime_ms: int


class SessionStates:
    """
    The state of every session, and the open gaps of those that have some.

    Args:
        window: datagrams of a session within which a late one is still put in its place.

    """

    def __init__(self, window: int) -> None:
        self._table = np.zeros((len(_NAMES), 0), np.int64)
        self._window = window
        self._gaps = Gaps()

    def grow(self, sessions: int) -> None:
        """Have room for at least so many sessions."""
        have = self._table.shape[1]
        if sessions > have:
            more = np.zeros((len(_NAMES), max(sessions, 2 * have) - have), np.int64)
            self._table = np.concatenate([self._table, more], axis=1)

    def column(self, name: str) -> Int64s:
        """Return an attribute of `SessionState` of all sessions: a view, valid until `grow`."""
        found: Int64s = self._table[_ROW[name]]
        return found

    def follow(self, row: int, arrivals: Iterable[Arrival]) -> None:
        """Take in datagrams of one session, in order of arrival."""
        state = SessionState(*self._table[:, row].tolist())
        for arrival in arrivals:
            self._step(row, state, arrival)
        self._table[:, row] = _values(state)

    def _step(self, row: int, state: SessionState, arrival: Arrival) -> None:
        state.datagrams += 1
        state.unknowable += arrival.unknowable
        begin, units = _span(state, arrival)
        ahead = (begin - state.next) & MASK
        # A number that includes the message's own records leaves where they begin in doubt.
        unsure = arrival.unknowable if state.own_counted else bool(state.blind)
        if not state.synchronised:
            _synchronise(state, arrival)
        elif ahead == 0:
            _advance(state, arrival)
        elif unsure and ahead < UNCOUNTED:
            state.next += ahead
            state.floor = state.next
            _advance(state, arrival)
        elif _counts_otherwise(state, arrival):
            # The gaps of the wrong reading are no losses.
            state.own_counted ^= 1
            self._expire(row, state)
            state.recovered += self._gaps.drop(row)
            _synchronise(state, arrival)
        elif self._started_over(state, arrival, ahead):
            state.restarted += 1
            self._gaps.drop(row)
            _synchronise(state, arrival)
        elif ahead < FORWARD:
            self._skip(row, state, ahead, unsure=unsure)
            _advance(state, arrival)
        else:
            begin = state.next - (MODULUS - ahead)
            self._late(row, state, begin, begin + units, arrival.unknowable)
        state.last_sequence = arrival.sequence
        state.last_flows = 0 if arrival.unknowable else arrival.units - arrival.options

    def _started_over(self, state: SessionState, arrival: Arrival, ahead: int) -> bool:
        """
        Tell whether the exporter's counter began anew rather than skipped or was overtaken.

        Its uptime went back and the boot time (clock less uptime, modulo 2^32) moved; or it is
        behind and was exported later than what is ahead; or nothing but late ones come.
        """
        later = arrival.export_ms - state.export_ms
        if arrival.uptime_ms < state.uptime_ms:
            moved = (later - (arrival.uptime_ms - state.uptime_ms)) & MASK
            if CLOCK_MS <= moved <= MODULUS - CLOCK_MS:
                return True
        return ahead >= FORWARD and (later >= CLOCK_MS or state.late_run >= self._window)

    def _skip(self, row: int, state: SessionState, ahead: int, *, unsure: bool) -> None:
        """Go ahead over what did not come, or, if that is `unsure`, was not counted."""
        begin, state.next = state.next, state.next + ahead
        if unsure:
            state.floor = state.next
            return
        state.missed += ahead
        self._expire(row, state)
        gap = Gap(begin, state.next, state.datagrams)
        floor, other, floor_of_other = self._gaps.open(row, gap)
        state.floor = max(state.floor, floor)
        if other != row:
            floors = self.column("floor")
            floors[other] = max(int(floors[other]), floor_of_other)

    def _late(self, row: int, state: SessionState, begin: int, end: int, unknowable: bool) -> None:
        """Put the units from `begin` up to `end`, before `next`, in their place."""
        state.late_run += 1
        self._expire(row, state)
        found, floor = self._gaps.fill(row, begin, end, uncounted=unknowable)
        state.floor = max(state.floor, floor)
        state.recovered += found
        if found or begin == end or begin < state.floor:
            state.reordered += 1
        else:
            state.duplicate += 1

    def _expire(self, row: int, state: SessionState) -> None:
        """Give up gaps that opened more than the window ago."""
        floor = self._gaps.expire(row, state.datagrams - self._window)
        state.floor = max(state.floor, floor)


def _span(state: SessionState, arrival: Arrival) -> tuple[int, int]:
    """Return where a datagram's units begin and how many they are, as its exporter counts."""
    if state.own_counted:  # softflowd leaves options records out
        flows = arrival.units - arrival.options
        return arrival.sequence - flows, flows
    return arrival.sequence, arrival.units


def _synchronise(state: SessionState, arrival: Arrival) -> None:
    """Begin to count at a datagram."""
    state.version, state.synchronised = arrival.version, 1
    state.floor = state.next = _span(state, arrival)[0]
    _advance(state, arrival)


def _advance(state: SessionState, arrival: Arrival) -> None:
    """Take in the newest datagram, which begins at `next`."""
    state.next += _span(state, arrival)[1]
    state.blind = int(arrival.unknowable and not state.own_counted)
    state.late_run = 0
    state.export_ms, state.uptime_ms = arrival.export_ms, arrival.uptime_ms


def _counts_otherwise(state: SessionState, arrival: Arrival) -> bool:
    """
    Tell whether an IPFIX exporter counts a message's own flow records into its sequence number,
    or no longer does: softflowd does, against RFC 7011 3.1.

    Messages never overlap. Two in succession that do, and would follow one another exactly if
    they were counted the other way, prove that way.
    """
    flows, last = arrival.units - arrival.options, state.last_flows
    if state.version != IPFIX or arrival.unknowable or not flows or not last:
        return False
    step = (arrival.sequence - state.last_sequence) & MASK
    return (step == last and flows > last) if state.own_counted else (step == flows < last)
