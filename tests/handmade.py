"""Export datagrams put together by hand, and what the decoder makes of them as plain values."""

import struct
from itertools import pairwise

from clarion.wire.batch import DatagramBatch
from clarion.wire.constants import VARIABLE
from clarion.wire.decode import Decoded, Decoder
from clarion.wire.faults import Fault

EXPORTER = bytes(10) + b"\xff\xff\xc0\0\2\1"
OTHER = bytes(10) + b"\xff\xff\xc0\0\2\2"


def v5(records: int, count: int, tail: bytes = b"") -> bytes:
    header = struct.pack("!HHIIIIBBH", 5, count, 1000, 1_700_000_000, 0, 1, 0, 0, 0)
    return header + bytes(48 * records) + tail


def v9(*sets: bytes, domain: int = 7, count: int = 1, tail: bytes = b"") -> bytes:
    header = struct.pack("!HHIIII", 9, count, 1000, 1_700_000_000, 1, domain)
    return header + b"".join(sets) + tail


def ipfix(*sets: bytes, domain: int = 7, length: int | None = None, tail: bytes = b"") -> bytes:
    body = b"".join(sets)
    octets = 16 + len(body) if length is None else length
    return struct.pack("!HHIII", 10, octets, 1_700_000_000, 1, domain) + body + tail


def one_set(set_id: int, body: bytes = b"", length: int | None = None) -> bytes:
    return struct.pack("!HH", set_id, 4 + len(body) if length is None else length) + body


def fields(*pairs: tuple[int, int]) -> bytes:
    return b"".join(struct.pack("!HH", *pair) for pair in pairs)


def template(template_id: int, *pairs: tuple[int, int]) -> bytes:
    return struct.pack("!HH", template_id, len(pairs)) + fields(*pairs)


PORTS = template(256, (7, 2), (11, 2))
V9_PORTS, IPFIX_PORTS = one_set(0, PORTS), one_set(2, PORTS)


def decode(*payloads: bytes, decoder: Decoder | None = None, **batch) -> Decoded:
    batch.setdefault("address", EXPORTER)
    return (decoder or Decoder()).decode(DatagramBatch.of(list(payloads), **batch))


def values(decoded: Decoded) -> list[tuple[int, ...]]:
    """Return the records in order of arrival: their integers, octets where one is none."""
    found = []
    for records in decoded.records:
        columns = []
        for position, (_, _, length) in enumerate(records.layout.fields):
            if length == VARIABLE:
                ends, content = records.variable(position)
                octets = content.tobytes()
                columns.append([octets[a:b] for a, b in pairwise(ends)])
            elif records.is_integer(position):
                columns.append(records.unsigned(position).tolist())
            else:
                columns.append([row.tobytes() for row in records.octets(position)])
        ordinal = records.headers.ordinal[records.datagram].tolist()
        place = zip(ordinal, records.set_number.tolist(), records.number.tolist(), strict=True)
        found += zip(place, zip(*columns, strict=True), strict=True)
    return [value for _, value in sorted(found)]


def faults(decoded: Decoded) -> list[Fault]:
    return [Fault(fault) for fault in decoded.faults.fault]
