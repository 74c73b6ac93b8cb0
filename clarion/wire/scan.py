"""
The set walk: where every set of every datagram of a batch lies.

Pass k reads the k-th set header of each datagram that still has one, so that the loop runs as
often as the longest chain of sets, not once a set. When few datagrams are left, they are walked
one by one: a datagram of a thousand empty sets must not cost a thousand passes.

The records of a v1, v5 or v7 datagram are taken as one set, sFlow's samples as one set each.

Source: RFC 7011 3.3.2; RFC 3954 5.2, 5.3.
"""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from clarion.wire.constants import (
    FIRST_DATA_SET,
    IPFIX,
    IPFIX_OPTIONS_SET,
    IPFIX_TEMPLATE_SET,
    MAX_SETS,
    SET_HEADER,
    SFLOW,
    SFLOW_SAMPLE_HEADER,
    V1,
    V5,
    V7,
    V9,
    V9_OPTIONS_SET,
    V9_TEMPLATE_SET,
)
from clarion.wire.faults import Fault, FaultList
from clarion.wire.headers import Headers
from clarion.wire.layout import FIXED_LAYOUTS
from clarion.wire.octets import Int64s, OctetReader
from clarion.wire.sflow_scan import EXPANDED_COUNTER_SAMPLE, FLOW_SAMPLE, scan_samples
from clarion.wire.tally import Tally

_VERSIONS = SFLOW + 1
# Octets before the body of a set, and octets of a record, by version; 0: none, or they differ.
SET_HEADER_OCTETS = np.zeros(_VERSIONS, np.int64)
SET_HEADER_OCTETS[[V9, IPFIX, SFLOW]] = SET_HEADER, SET_HEADER, SFLOW_SAMPLE_HEADER
RECORD_OCTETS = np.zeros(_VERSIONS, np.int64)
RECORD_OCTETS[[V1, V5, V7]] = [FIXED_LAYOUTS[version].fixed_octets for version in (V1, V5, V7)]

# Below this many datagrams a pass of array operations costs more than plain Python.
_FEW = 48


class SetOutcome(IntEnum):
    """What became of a set: each has exactly one."""

    DECODED = 0
    TEMPLATES = 1
    RESERVED = 2
    NO_TEMPLATE = 3  # given up at once
    WAITING = 4  # kept until its template comes
    ZERO_LENGTH = 5


@dataclass(slots=True)
class SetTable:
    """
    S sets in arrival order, as (S,) arrays.

    The records of a v1, v5 or v7 datagram are one set with id 0 and no header. A sample of sFlow
    is a set; its id is the sample's type: enterprise (20 bits) and format (12 bits).

    Attributes:
        datagram: int64, row of the batch.
        number: int64, ordinal of the set in its datagram, from 0.
        set_id: int64, 0 for v1, v5, v7.
        version: uint16 of the datagram.
        offset: int64, octets from the start of the datagram to the set.
        length: int64, octets of the set, its header included.
        outcome: uint8, a `SetOutcome`; TEMPLATES, RESERVED or, until it is decoded, DECODED.
        options: bool, whether a TEMPLATES set holds options templates.

    """

    datagram: Int64s
    number: Int64s
    set_id: Int64s
    version: NDArray[np.uint16]
    offset: Int64s
    length: Int64s
    outcome: NDArray[np.uint8]
    options: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.datagram)


def scan_sets(
    headers: Headers,
    start: Int64s,
    length: Int64s,
    head: Int64s,
    usable: Int64s,
    reader: OctetReader,
    faults: FaultList,
    tally: Tally,
) -> SetTable:
    """
    Locate every set of a batch and count the octets that belong to none.

    Args:
        headers: (N,) message headers.
        start: (N,) int64, where each datagram begins in the buffer.
        length: (N,) int64, octets of each datagram.
        head: (N,) int64, octets of each header; 0 for a datagram not to be decoded.
        usable: (N,) int64, octets of each message, header included; 0 for one not to be decoded.
        reader: reads the buffer.
        faults: faults found are added.
        tally: its octets_header, octets_trailing, octets_malformed and sets_rejected are raised.

    Never raises on wire data. A bad length ends that datagram, not the batch.

    """
    version = headers.version
    tally.octets_header += int(head.sum())
    tally.octets_malformed += int(length[usable == 0].sum())
    tally.octets_trailing += int((length - usable)[usable > 0].sum())
    good = usable > 0
    chained = np.flatnonzero(((version == V9) | (version == IPFIX)) & good)
    walk = _Walk(start, reader, faults, tally)
    walk.run(chained, head[chained], usable[chained])
    if len(chained) < len(version):
        counted = np.flatnonzero((RECORD_OCTETS[version] > 0) & good)
        if len(counted):
            walk.parts.append(_counted_sets(counted, headers, head, usable, faults, tally))
        sflow = np.flatnonzero((version == SFLOW) & good)
        if len(sflow):
            walk.parts.append(scan_samples(sflow, start, head, usable, reader, faults, tally))
    return walk.table(version)


def _counted_sets(
    rows: Int64s, headers: Headers, head: Int64s, usable: Int64s, faults: FaultList, tally: Tally
) -> tuple[Int64s, ...]:
    """Take the records of each datagram of a version without sets as one set."""
    counted, size = headers.count[rows].astype(np.int64), RECORD_OCTETS[headers.version[rows]]
    room = usable[rows] - head[rows]
    fitting = np.minimum(counted, room // size)
    short = rows[fitting < counted]
    faults.add(Fault.COUNT_MISMATCH, short, np.full(len(short), 2))
    tally.octets_trailing += int((room - fitting * size).sum())
    zero = np.zeros(len(rows), np.int64)
    return rows, zero, zero, head[rows], fitting * size


class _Walk:
    """The chain of sets of each datagram; parts are (datagram, number, set_id, offset, length)."""

    def __init__(self, start: Int64s, reader: OctetReader, faults: FaultList, tally: Tally) -> None:
        self.parts: list[tuple[Int64s, ...]] = []
        self._start = start
        self._reader = reader
        self._faults = faults
        self._tally = tally

    def run(self, datagram: Int64s, offset: Int64s, end: Int64s) -> None:
        """Walk all chains: (n,) rows of the batch, octet offset of the first set, end."""
        number = 0
        while len(datagram):
            room = end - offset
            if number >= MAX_SETS:
                self._too_many(datagram, offset, room)
                return
            if len(datagram) < _FEW and number:
                for row, at, stop in zip(
                    datagram.tolist(), offset.tolist(), end.tolist(), strict=True
                ):
                    self._run_one(row, number, at, stop)
                return
            at = self._start[datagram] + offset
            length = self._reader.u16(at + 2)
            whole = (length >= SET_HEADER) & (length <= room)
            if not whole.all():
                self._stopped(datagram, offset, room, length)
                datagram, offset, end = datagram[whole], offset[whole], end[whole]
                at, length = at[whole], length[whole]
            self.parts.append(
                (datagram, np.full(len(datagram), number), self._reader.u16(at), offset, length)
            )
            offset = offset + length
            more = offset < end
            if not more.all():
                datagram, offset, end = datagram[more], offset[more], end[more]
            number += 1

    def _run_one(self, datagram: int, number: int, offset: int, end: int) -> None:
        first = int(self._start[datagram])
        message = self._reader.slice(first, end)
        found: list[tuple[int, int, int, int, int]] = []
        while offset < end:
            room = end - offset
            length = message[offset + 2] << 8 | message[offset + 3] if room >= SET_HEADER else 0
            if number >= MAX_SETS or not SET_HEADER <= length <= room:
                rows = np.array([[datagram], [offset], [room], [length]])
                if number >= MAX_SETS:
                    self._too_many(*rows[:3])
                else:
                    self._stopped(*rows)
                break
            set_id = message[offset] << 8 | message[offset + 1]
            found.append((datagram, number, set_id, offset, length))
            offset += length
            number += 1
        if found:
            self.parts.append(tuple(np.array(found, np.int64).T))

    def _stopped(self, datagram: Int64s, offset: Int64s, room: Int64s, length: Int64s) -> None:
        """Account for the octets behind the last good set of datagrams that end early."""
        rest = (room > 0) & (room < SET_HEADER)
        short = (room >= SET_HEADER) & (length < SET_HEADER)
        over = (room >= SET_HEADER) & (length > room)
        self._tally.octets_trailing += int(room[rest | short].sum())
        self._tally.octets_malformed += int(room[over].sum())
        self._tally.sets_rejected += int(np.count_nonzero(short | over))
        self._faults.add(Fault.BAD_SET_LENGTH, datagram[short], offset[short])
        self._faults.add(Fault.SET_OVERRUN, datagram[over], offset[over])

    def _too_many(self, datagram: Int64s, offset: Int64s, room: Int64s) -> None:
        self._tally.octets_malformed += int(room.sum())
        self._tally.sets_rejected += len(datagram)
        self._faults.add(Fault.TOO_MANY_SETS, datagram, offset)

    def table(self, version: NDArray[np.uint16]) -> SetTable:
        """Return the sets found, in arrival order."""
        if len(self.parts) == 1:
            datagram, number, set_id, offset, length = self.parts[0]
        elif self.parts:
            columns = (np.concatenate(column) for column in zip(*self.parts, strict=True))
            datagram, number, set_id, offset, length = columns
            order = np.lexsort((number, datagram))
            datagram, number, set_id = datagram[order], number[order], set_id[order]
            offset, length = offset[order], length[order]
        else:
            datagram = number = set_id = offset = length = np.zeros(0, np.int64)
        versions = version[datagram]
        outcome = np.zeros(len(datagram), np.uint8)
        options = np.zeros(len(datagram), np.bool_)
        v9 = versions == V9
        low = (set_id < FIRST_DATA_SET) & (v9 | (versions == IPFIX))
        if low.any():
            template = set_id == np.where(v9, V9_TEMPLATE_SET, IPFIX_TEMPLATE_SET)
            options = low & (set_id == np.where(v9, V9_OPTIONS_SET, IPFIX_OPTIONS_SET))
            outcome[low] = SetOutcome.RESERVED
            outcome[low & (template | options)] = SetOutcome.TEMPLATES
        sample = versions == SFLOW
        if sample.any():
            known = (set_id >= FLOW_SAMPLE) & (set_id <= EXPANDED_COUNTER_SAMPLE)
            outcome[sample & ~known] = SetOutcome.RESERVED
        return SetTable(datagram, number, set_id, versions, offset, length, outcome, options)
