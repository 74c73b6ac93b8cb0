"""
The samples of sFlow datagrams as sets: where each lies, and what belongs to none.

Source: sFlow version 5, "sample_datagram" and "sample_record".
"""

from typing import Final

import numpy as np

from clarion.wire.constants import MAX_SETS, SFLOW_SAMPLE_HEADER
from clarion.wire.faults import Fault, FaultList
from clarion.wire.octets import Int64s, OctetReader
from clarion.wire.sflow_chain import walk_chains
from clarion.wire.tally import Tally

# Types of samples, enterprise 0: all that we read, and 1 to 4 without a gap.
FLOW_SAMPLE: Final = 1
COUNTER_SAMPLE: Final = 2
EXPANDED_FLOW_SAMPLE: Final = 3
EXPANDED_COUNTER_SAMPLE: Final = 4


def scan_samples(
    rows: Int64s,
    start: Int64s,
    head: Int64s,
    usable: Int64s,
    reader: OctetReader,
    faults: FaultList,
    tally: Tally,
) -> tuple[Int64s, ...]:
    """
    Locate the samples of sFlow datagrams and count the octets that belong to none.

    Args:
        rows: (n,) int64, rows of the batch.
        start: (N,) int64, where each datagram begins in the buffer.
        head: (N,) int64, octets of each header.
        usable: (N,) int64, octets of each datagram.
        reader: reads the buffer.
        faults: faults found are added.
        tally: its octets_trailing, octets_malformed and sets_rejected are raised.

    Returns:
        (S,) int64 arrays: datagram, ordinal in it, type, offset from the datagram's start and
        octets of each sample, in order; the last two with its type and length.

    """
    first, head, end = start[rows], head[rows], usable[rows]
    counted = reader.u32(first + head - 4)
    chains = walk_chains(reader, first + head, first + end, counted, most=MAX_SETS)
    offset = chains.stop - first
    room = end - offset
    over = chains.over
    short = (chains.count < counted) & ~over
    many = short & (room >= SFLOW_SAMPLE_HEADER)
    short &= ~many
    lost = over | many
    tally.octets_trailing += int(room[~lost].sum())
    tally.octets_malformed += int(room[lost].sum())
    tally.sets_rejected += int(np.count_nonzero(lost))
    faults.add(Fault.SET_OVERRUN, rows[over], offset[over])
    faults.add(Fault.TOO_MANY_SETS, rows[many], offset[many])
    faults.add(Fault.COUNT_MISMATCH, rows[short], head[short] - 4)
    items = chains.items
    offset = items.at - first[items.chain] - SFLOW_SAMPLE_HEADER
    length = items.length + SFLOW_SAMPLE_HEADER
    return rows[items.chain], items.number, items.kind, offset, length
