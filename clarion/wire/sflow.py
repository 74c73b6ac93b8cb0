"""
sFlow samples to records: flow samples to one record a sampled packet, counter samples to options
records.

    samples -> chains of records -> columns, one row a sample -> records, by what a sample has

A flow sample is a flow of one packet: octets and packets are that packet's, unscaled, beside the
sampling rate. sFlow has no clock: flow start and end are the time of receipt. Parts of a sample
that we do not know are skipped by their length and counted as reserved.

Source: sFlow version 5, "flow_sample", "counters_sample" and their expanded forms.
"""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from clarion.wire.faults import Fault, FaultList
from clarion.wire.headers import Headers
from clarion.wire.layout import Layout
from clarion.wire.octets import Int64s, OctetReader
from clarion.wire.sflow_chain import ITEM_HEADER, Items, walk_chains
from clarion.wire.sflow_flows import flow_records
from clarion.wire.sflow_layouts import COUNTERS_LAYOUT
from clarion.wire.sflow_records import FORMATS, Bodies, SampleColumns, whole
from clarion.wire.sflow_scan import COUNTER_SAMPLE, EXPANDED_COUNTER_SAMPLE
from clarion.wire.tally import Tally

# Octets before the records of a sample, by its type; the last four count the records.
_HEAD: Final = np.array([0, 32, 12, 44, 16])
# Records looked for in one sample: agents send fewer than ten.
_MOST_RECORDS: Final = 1024
# Generic interface counters ("if_counters"), the one format of counter record that is read.
_COUNTERS: Final = 1


class Samples(NamedTuple):
    """T samples as (T,) int64: row of the set table, type, datagram, offset, body in the buffer."""

    row: Int64s
    kind: Int64s
    datagram: Int64s
    offset: Int64s
    at: Int64s
    end: Int64s

    def take(self, rows: NDArray[np.bool_]) -> "Samples":
        """Return the samples chosen."""
        return self if rows.all() else Samples(*(column[rows] for column in self))


class Found(NamedTuple):
    """Records of one layout: (R, layout.fixed_octets) uint8, and the set row of each, (R,)."""

    layout: Layout
    fixed: NDArray[np.uint8]
    row: Int64s


def read_samples(
    reader: OctetReader,
    headers: Headers,
    start: Int64s,
    samples: Samples,
    faults: FaultList,
    tally: Tally,
) -> list[Found]:
    """
    Decode samples of the types that we know.

    Args:
        reader: reads the buffer.
        headers: (N,) message headers.
        start: (N,) int64, where each datagram begins in the buffer.
        samples: what to decode, at least one.
        faults: faults found are added, at the offset of their sample.
        tally: its counter_samples, octets_record, octets_reserved, octets_padding and
            octets_malformed are raised.

    Never raises on wire data. What comes before a bad part of a sample is kept.

    """
    count = _Accounts(reader, faults, tally)
    counter = (samples.kind == COUNTER_SAMPLE) | (samples.kind == EXPANDED_COUNTER_SAMPLE)
    found: list[Found] = []
    if not counter.all():
        flow, items = count.records(samples.take(~counter))
        said = SampleColumns(len(flow.row), reader)
        for kind, bodies in count.known(flow, items, FORMATS):
            said.read(kind, bodies)
        made = flow_records(reader, headers, start, (flow.kind, flow.datagram, flow.at), said)
        found += [Found(one.layout, one.fixed, flow.row[one.sample]) for one in made]
    if counter.any():
        tally.counter_samples += int(np.count_nonzero(counter))
        counters, items = count.records(samples.take(counter))
        for _, bodies in count.known(counters, items, (_COUNTERS,), counters=True):
            fixed = reader.blocks(bodies.at, COUNTERS_LAYOUT.fixed_octets)
            found.append(Found(COUNTERS_LAYOUT, fixed, counters.row[bodies.row]))
    return found


class _Accounts:
    """Finds the records of samples, each octet counted once."""

    def __init__(self, reader: OctetReader, faults: FaultList, tally: Tally) -> None:
        self._reader = reader
        self._faults = faults
        self._tally = tally

    def records(self, samples: Samples) -> tuple[Samples, Items]:
        """Return the samples that are not cut short, and their records."""
        tally, room = self._tally, samples.end - samples.at
        good = room >= _HEAD[samples.kind]
        if not good.all():
            tally.octets_malformed += int(room[~good].sum())
            self._overrun(samples, ~good)
            samples = samples.take(good)
        head = _HEAD[samples.kind]
        tally.octets_record += int(head.sum())
        first = samples.at + head
        count = self._reader.u32(first - 4)
        chains = walk_chains(self._reader, first, samples.end, count, most=_MOST_RECORDS)
        room = samples.end - chains.stop
        short = chains.count < count
        lost = short & (room >= ITEM_HEADER)  # too long, or one too many
        tally.octets_malformed += int(room[lost].sum())
        tally.octets_padding += int(room[~lost].sum())
        self._overrun(samples, short)
        return samples, chains.items

    def known(
        self, samples: Samples, items: Items, formats: tuple[int, ...], *, counters: bool = False
    ) -> list[tuple[int, Bodies]]:
        """Return the bodies that can be read, by format: the first of each in its sample."""
        octets = items.length + ITEM_HEADER
        left = int(octets.sum())
        found: list[tuple[int, Bodies]] = []
        for kind in formats:
            chosen = np.flatnonzero(items.kind == kind)
            if not len(chosen):
                continue
            left -= int(octets[chosen].sum())
            at, length = items.at[chosen], items.length[chosen]
            if counters:
                good = length >= COUNTERS_LAYOUT.fixed_octets
            else:
                good = whole(kind, self._reader, at, length)
            if not good.all():
                bad = chosen[~good]
                self._tally.octets_malformed += int(octets[bad].sum())
                broken = np.zeros(len(samples.row), np.bool_)
                broken[items.chain[bad]] = True
                self._overrun(samples, broken)
                chosen = chosen[good]
            self._tally.octets_record += int(octets[chosen].sum())
            chain = items.chain[chosen]
            first = np.ones(len(chain), np.bool_)
            first[1:] = chain[1:] != chain[:-1]
            chosen = chosen[first]
            if len(chosen):
                bodies = Bodies(items.chain[chosen], items.at[chosen], items.length[chosen])
                found.append((kind, bodies))
        self._tally.octets_reserved += left
        return found

    def _overrun(self, samples: Samples, which: NDArray[np.bool_]) -> None:
        datagram, offset = samples.datagram[which], samples.offset[which]
        self._faults.add(Fault.RECORD_OVERRUN, datagram, offset)
