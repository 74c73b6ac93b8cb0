"""
What sequence numbers count, and how far each datagram of a batch advances them.

Each protocol in its own unit; an IPFIX message of which some records could not be counted says so.
"""

from enum import IntEnum
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from clarion.wire.constants import IPFIX, SFLOW, V5, V7, V9
from clarion.wire.decode import Decoded
from clarion.wire.faults import Fault
from clarion.wire.octets import Int64s


class Unit(IntEnum):
    """What the sequence number of a protocol counts."""

    NONE = 0  # no sequence number
    DATAGRAMS = 1  # v9: RFC 3954 5.1; sFlow: "sFlow Version 5" 5
    HEADER_COUNT = 2  # flow records, as the header counts them. v5, v7: Cisco
    DATA_RECORDS = 3  # flow and options records, templates not. IPFIX: RFC 7011 3.1


# (65536,) uint8, the `Unit` of each version.
UNIT: Final[NDArray[np.uint8]] = np.zeros(65536, np.uint8)
UNIT[[V9, SFLOW]] = Unit.DATAGRAMS
UNIT[[V5, V7]] = Unit.HEADER_COUNT
UNIT[IPFIX] = Unit.DATA_RECORDS

# Faults that leave the data records of a message uncounted.
_UNCOUNTED_BY = np.zeros(256, np.bool_)
_UNCOUNTED_BY[
    [
        Fault.LENGTH_MISMATCH,
        Fault.BAD_SET_LENGTH,
        Fault.SET_OVERRUN,
        Fault.NO_TEMPLATE,
        Fault.ZERO_LENGTH_RECORD,
        Fault.RECORD_OVERRUN,
        Fault.TOO_MANY_SETS,
    ]
] = True


class SequenceUnits(NamedTuple):
    """
    How far datagrams advance their session's sequence number, as (N,) arrays.

    Attributes:
        units: int64: 1 (v9, sFlow), the header's count (v5, v7), data records that were decoded
            on arrival (IPFIX).
        unknowable: bool, whether an IPFIX message has records that could not be counted, so
            that its units are a lower bound.
        options: int64, how many of an IPFIX message's units are options records.

    """

    units: Int64s
    unknowable: NDArray[np.bool_]
    options: Int64s


def sequence_units(decoded: Decoded) -> SequenceUnits:
    """Count how far each datagram advances its session's sequence number."""
    headers = decoded.headers
    n = len(headers)
    unit = UNIT[headers.version]
    units = np.where(unit == Unit.HEADER_COUNT, headers.count.astype(np.int64), 1)
    unknowable = np.zeros(n, np.bool_)
    options: Int64s = np.zeros(n, np.int64)
    ipfix = unit == Unit.DATA_RECORDS
    if ipfix.any():
        of: tuple[list[Int64s], list[Int64s]] = ([], [])
        for records in decoded.records:
            if records.layout.version == IPFIX and not records.late:
                of[records.layout.options].append(records.datagram)
        flows, options = (
            np.bincount(np.concatenate(rows), minlength=n) if rows else np.zeros(n, np.int64)
            for rows in of
        )
        units = np.where(ipfix, flows + options, units)
        if len(decoded.faults):
            blinding = _UNCOUNTED_BY[decoded.faults.fault]
            unknowable[decoded.faults.datagram[blinding]] = True
            unknowable &= ipfix
    return SequenceUnits(units, unknowable, options)
