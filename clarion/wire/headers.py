"""
Message headers of a whole batch as columns.

v5: Cisco, "NetFlow Export Datagram Format"; v9: RFC 3954 5.1; IPFIX: RFC 7011 3.1. One gather a
field serves all three versions: the field's octet offset comes from a table by version.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from clarion.wire.batch import DatagramBatch
from clarion.wire.constants import IPFIX, IPFIX_HEADER, V5, V5_HEADER, V9, V9_HEADER
from clarion.wire.faults import Fault, FaultList
from clarion.wire.octets import Int64s, OctetReader

# Octet offsets of header fields, indexed by version (0..10); 0 where a version lacks the field.
_SIZE = np.zeros(11, np.int64)
_SIZE[[V5, V9, IPFIX]] = V5_HEADER, V9_HEADER, IPFIX_HEADER
_EXPORT_SECONDS = np.zeros(11, np.int64)
_EXPORT_SECONDS[[V5, V9, IPFIX]] = 8, 8, 4
_SEQUENCE = np.zeros(11, np.int64)
_SEQUENCE[[V5, V9, IPFIX]] = 16, 12, 8
_DOMAIN = np.zeros(11, np.int64)
_DOMAIN[[V5, V9, IPFIX]] = 20, 16, 12  # v5: engine type, engine id, then sampling


@dataclass(frozen=True, slots=True)
class Headers:
    """
    One row a datagram: (N,) arrays. Rows of datagrams without a usable header have version 0.

    Attributes:
        ordinal: int64, number of the datagram since the decoder was made, from 0.
        version: 5, 9, 10; 0 for a malformed one.
        session: int64, row of the decoder's sessions; -1 where there is none.
        domain: uint32, observation domain: IPFIX's, v9's source id, v5's engine type and id.
        sequence: uint32. v5 counts flows, v9 datagrams, IPFIX data records.
        uptime_ms: uint32, exporter's sysUpTime (v5, v9; 0 in IPFIX).
        export_ms: int64, header clock in milliseconds since 1970 (v9, IPFIX: whole seconds).
        sampling: uint16, the v5 header's sampling mode (2 bits) and interval (14 bits), else 0.
        count: uint16, v5 and v9 header count; IPFIX: message length.
        address: (N, 16) uint8, exporter address, IPv4 as v4-mapped.
        port: uint16, exporter's UDP port.
        receive_ms: int64, receive time in milliseconds since 1970.

    """

    ordinal: Int64s
    version: NDArray[np.uint16]
    session: Int64s
    domain: NDArray[np.uint32]
    sequence: NDArray[np.uint32]
    uptime_ms: NDArray[np.uint32]
    export_ms: Int64s
    sampling: NDArray[np.uint16]
    count: NDArray[np.uint16]
    address: NDArray[np.uint8]
    port: NDArray[np.uint16]
    receive_ms: Int64s

    def __len__(self) -> int:
        return len(self.version)

    def take(self, rows: Int64s) -> "Headers":
        """Return the given rows, copied."""
        return Headers(*(getattr(self, name)[rows] for name in _NAMES))

    @staticmethod
    def concat(parts: Sequence["Headers"]) -> "Headers":
        """Return all rows of all parts, in order."""
        if len(parts) == 1:
            return parts[0]
        return Headers(*(np.concatenate([getattr(p, name) for p in parts]) for name in _NAMES))


_NAMES = tuple(f.name for f in fields(Headers))


def read_headers(
    batch: DatagramBatch, reader: OctetReader, first_ordinal: int, faults: FaultList
) -> tuple[Headers, Int64s]:
    """
    Read the headers of a batch; sessions are not filled in yet (all -1).

    Returns:
        Headers, and (N,) int64: the octets of each datagram that count, header included: its
        length, or the IPFIX length field if that is less; 0 for a malformed one.

    """
    n = len(batch)
    start, length = batch.start, batch.length
    version = np.where(length >= 2, reader.u16(start), 0)
    known = (version == V9) | (version == IPFIX) | (version == V5)
    code = version if known.all() else np.where(known, version, 0)
    usable = length.copy()
    ipfix = code == IPFIX
    count = reader.u16(start + 2)
    if ipfix.any():
        usable[ipfix] = np.minimum(length, count)[ipfix]
        over = np.flatnonzero(ipfix & (count > length) & (length >= IPFIX_HEADER))
        faults.add(Fault.LENGTH_MISMATCH, over, np.full(len(over), 2))
    bad = (code == 0) | (usable < _SIZE[code])
    if bad.any():
        wrong, short = np.flatnonzero(~known), np.flatnonzero(bad & known)
        faults.add(Fault.BAD_VERSION, wrong, np.zeros_like(wrong))
        faults.add(Fault.SHORT_HEADER, short, length[short])
        code = np.where(bad, 0, code)
        usable[bad] = 0
    export_ms = reader.u32(start + _EXPORT_SECONDS[code]) * 1000
    domain = reader.u32(start + _DOMAIN[code])
    uptime = np.where(code == IPFIX, 0, reader.u32(start + 4))
    sampling = np.zeros(n, np.uint16)
    v5 = code == V5
    if v5.any():
        sampling[v5] = domain[v5] & 0xFFFF
        domain[v5] >>= 16
        export_ms[v5] += reader.u32(start[v5] + 12) // 1_000_000
    headers = Headers(
        ordinal=np.arange(first_ordinal, first_ordinal + n),
        version=code.astype(np.uint16),
        session=np.full(n, -1),
        domain=domain.astype(np.uint32),
        sequence=reader.u32(start + _SEQUENCE[code]).astype(np.uint32),
        uptime_ms=uptime.astype(np.uint32),
        export_ms=export_ms,
        sampling=sampling,
        count=count.astype(np.uint16),
        address=batch.address.copy(),
        port=batch.port.copy(),
        receive_ms=batch.receive_ms.copy(),
    )
    return headers, usable


def header_octets(version: NDArray[np.uint16]) -> Int64s:
    """Return the header size of each version, 0 for version 0."""
    return _SIZE[version]
