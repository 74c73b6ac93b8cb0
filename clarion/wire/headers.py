"""
Message headers of a whole batch as columns.

v1, v5, v7: Cisco, "NetFlow Export Datagram Format"; v9: RFC 3954 5.1; IPFIX: RFC 7011 3.1;
sFlow: sFlow version 5, "sample_datagram". One gather a field serves all versions: the field's
octet offset comes from a table by form.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Final

import numpy as np
from numpy.typing import NDArray

from clarion.wire.batch import DatagramBatch
from clarion.wire.constants import (
    IPFIX,
    IPFIX_HEADER,
    SFLOW,
    SFLOW_HEADER,
    SFLOW_VERSION,
    V1,
    V1_HEADER,
    V5,
    V5_HEADER,
    V7,
    V7_HEADER,
    V9,
    V9_HEADER,
)
from clarion.wire.faults import Fault, FaultList
from clarion.wire.octets import Int64s, OctetReader

# The form of a header is its version or, in sFlow, 11 and the type of the agent's address:
# 11 none, 12 IPv4, 13 IPv6. Form 0 is no header.
_FORMS: Final = 14
_SFLOW_FORM: Final = 11
_AGENT: Final = (0, 4, 16)  # octets of an address of type 0, 1, 2
_FORM_OF_VERSION: Final = np.zeros(1 << 16, np.int64)
_FORM_OF_VERSION[[V1, V5, V7, V9, IPFIX]] = V1, V5, V7, V9, IPFIX
_VERSION: Final = np.array([*range(_SFLOW_FORM), SFLOW, SFLOW, SFLOW], np.uint16)


def _by_form(
    *, v1: int = 0, v5: int = 0, v7: int = 0, v9: int = 0, ipfix: int = 0, sflow: int = 0
) -> Int64s:
    """Return a table by form; `sflow` is for an agent's address of no octets, 0 for no field."""
    table = np.zeros(_FORMS, np.int64)
    table[[V1, V5, V7, V9, IPFIX]] = v1, v5, v7, v9, ipfix
    table[_SFLOW_FORM:] = [sflow + octets for octets in _AGENT] if sflow else 0
    return table


_SIZE: Final = _by_form(
    v1=V1_HEADER, v5=V5_HEADER, v7=V7_HEADER, v9=V9_HEADER, ipfix=IPFIX_HEADER, sflow=SFLOW_HEADER
)
# Octet offsets of header fields; 0 where a form lacks the field.
_EXPORT_SECONDS: Final = _by_form(v1=8, v5=8, v7=8, v9=8, ipfix=4)
_NANOSECONDS: Final = _by_form(v1=12, v5=12, v7=12)
_UPTIME: Final = _by_form(v1=4, v5=4, v7=4, v9=4, sflow=16)
_SEQUENCE: Final = _by_form(v5=16, v7=16, v9=12, ipfix=8, sflow=12)
_DOMAIN: Final = _by_form(v5=20, v9=16, ipfix=12, sflow=8)  # v5: engine type and id, sampling


@dataclass(frozen=True, slots=True)
class Headers:
    """
    One row a datagram: (N,) arrays. Rows of datagrams without a usable header have version 0.

    Attributes:
        ordinal: int64, number of the datagram since the decoder was made, from 0.
        version: 1, 5, 7, 9, 10, SFLOW; 0 for a malformed one.
        session: int64, row of the decoder's sessions; -1 where there is none.
        domain: uint32, observation domain: IPFIX's, v9's source id, v5's engine type and id,
            sFlow's sub-agent id; 0 in v1 and v7.
        sequence: uint32. v5 and v7 count flows, v9 and sFlow datagrams, IPFIX data records;
            0 in v1.
        uptime_ms: uint32, exporter's sysUpTime; 0 in IPFIX.
        export_ms: int64, header clock in milliseconds since 1970 (v9, IPFIX: whole seconds);
            sFlow has no clock: the receive time.
        sampling: uint16, the v5 header's sampling mode (2 bits) and interval (14 bits), else 0.
        count: uint16, header count of records (v9: also of templates), sFlow: of samples, 65535
            for more; IPFIX: message length.
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
) -> tuple[Headers, Int64s, Int64s]:
    """
    Read the headers of a batch; sessions are not filled in yet (all -1).

    Returns:
        Headers, and twice (N,) int64: the octets of each header, and the octets of each datagram
        that count, header included: its length, or the IPFIX length field if that is less. Both
        are 0 for a malformed one.

    """
    n = len(batch)
    start, length = batch.start, batch.length
    form = _forms(batch, reader, faults)
    usable = length.copy()
    ipfix = form == IPFIX
    count = reader.u16(start + 2)
    if ipfix.any():
        usable[ipfix] = np.minimum(length, count)[ipfix]
        over = np.flatnonzero(ipfix & (count > length) & (length >= IPFIX_HEADER))
        faults.add(Fault.LENGTH_MISMATCH, over, np.full(len(over), 2))
    bad = (form == 0) | (usable < _SIZE[form])
    if bad.any():
        short = np.flatnonzero(bad & (form > 0))
        faults.add(Fault.SHORT_HEADER, short, length[short])
        form = np.where(bad, 0, form)
        usable[bad] = 0
    head = _SIZE[form]
    export_ms = reader.u32(start + _EXPORT_SECONDS[form]) * 1000
    domain = _field(reader, start, _DOMAIN[form])
    sampling = np.zeros(n, np.uint16)
    v5 = form == V5
    if v5.any():
        sampling[v5] = domain[v5] & 0xFFFF
        domain[v5] >>= 16
    finer = _NANOSECONDS[form]
    if finer.any():
        export_ms += _field(reader, start, finer) // 1_000_000
    sflow = np.flatnonzero(form >= _SFLOW_FORM)
    if len(sflow):
        export_ms[sflow] = batch.receive_ms[sflow]
        samples = reader.u32(start[sflow] + head[sflow] - 4)
        count[sflow] = np.minimum(samples, 0xFFFF)
    headers = Headers(
        ordinal=np.arange(first_ordinal, first_ordinal + n),
        version=_VERSION[form],
        session=np.full(n, -1),
        domain=domain.astype(np.uint32),
        sequence=_field(reader, start, _SEQUENCE[form]).astype(np.uint32),
        uptime_ms=_field(reader, start, _UPTIME[form]).astype(np.uint32),
        export_ms=export_ms,
        sampling=sampling,
        count=count.astype(np.uint16),
        address=batch.address.copy(),
        port=batch.port.copy(),
        receive_ms=batch.receive_ms.copy(),
    )
    return headers, head, usable


def _forms(batch: DatagramBatch, reader: OctetReader, faults: FaultList) -> Int64s:
    """Return the form of each header by its first octets, 0 for one that is none."""
    start, length = batch.start, batch.length
    version = np.where(length >= 2, reader.u16(start), 0)
    form = _FORM_OF_VERSION[version]
    unknown = np.flatnonzero(form == 0)
    if not len(unknown):
        return form
    at = start[unknown]
    long = np.where(length[unknown] >= 4, reader.u32(at), 0)
    sflow = long == SFLOW_VERSION
    # What is too short to have a type of address is too short for any form.
    kind = np.where(length[unknown] >= 8, reader.u32(at + 4), 0)
    agent = kind < len(_AGENT)
    form[unknown] = np.where(sflow & agent, _SFLOW_FORM + kind, 0)
    wrong, homeless = unknown[~sflow], unknown[sflow & ~agent]
    faults.add(Fault.BAD_VERSION, wrong, np.zeros_like(wrong))
    faults.add(Fault.BAD_AGENT, homeless, np.full(len(homeless), 4))
    return form


def _field(reader: OctetReader, start: Int64s, offset: Int64s) -> Int64s:
    """Return four octets at an offset from each start, 0 where the offset is."""
    value = reader.u32(start + offset)
    return value if offset.all() else np.where(offset > 0, value, 0)
