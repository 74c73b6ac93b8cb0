"""A script's datagrams and, decoded record by record with `struct`, what they say."""

import ipaddress
import struct
from collections.abc import Iterator
from typing import Any, NamedTuple

from clarion.loadgen.config import Config
from clarion.loadgen.datagrams import Batch, DatagramWriter
from clarion.loadgen.script import Script, make_script
from tests.oracle import Oracle

START_MS = 1_764_000_000_123


class Sent(NamedTuple):
    exporter: int
    octets: bytes
    records: int
    due: float


def script(own_address: str = "127.0.0.1", **settings: Any) -> Script:
    return make_script(Config(**settings), own_address=own_address, start_ms=START_MS)


def played(run: Script, *, batch: int = 7, datagrams: int | None = None) -> list[Sent]:
    """Return the datagrams of a run, its first templates included."""
    writer = DatagramWriter(run, most=max(batch, run.config.exporters))
    sent: list[Sent] = []
    if run.config.protocol != "v5":
        sent += _each(writer.templates(0, run.config.exporters))
    end = run.schedule.total_datagrams if datagrams is None else datagrams
    assert end is not None
    for first in range(0, end, batch):
        sent += _each(writer.data(first, min(first + batch, end)))
    return sent


def _each(batch: Batch) -> Iterator[Sent]:
    for start, length, exporter, records, due in zip(
        batch.start, batch.length, batch.exporter, batch.records, batch.due, strict=True
    ):
        octets = batch.octets[start : start + length].tobytes()
        yield Sent(int(exporter), octets, int(records), float(due))


class Header(NamedTuple):
    version: int
    count: int  # IPFIX: length
    uptime_ms: int
    export_ms: int
    sequence: int
    domain: int


def header(octets: bytes) -> Header:
    version = struct.unpack_from("!H", octets)[0]
    if version == 5:
        _, count, uptime, seconds, nanoseconds, sequence, domain, _ = struct.unpack_from(
            "!HHIIIIHH", octets
        )
        return Header(5, count, uptime, seconds * 1000 + nanoseconds // 10**6, sequence, domain)
    if version == 9:
        _, count, uptime, seconds, sequence, domain = struct.unpack_from("!HHIIII", octets)
        return Header(9, count, uptime, seconds * 1000, sequence, domain)
    _, length, seconds, sequence, domain = struct.unpack_from("!HHIII", octets)
    return Header(10, length, 0, seconds * 1000, sequence, domain)


# Elements and the flow column they fill.
_NUMBERS = {
    7: "src_port", 11: "dst_port", 4: "protocol", 1: "bytes", 2: "packets", 58: "vlan_id",
    10: "input_if", 14: "output_if", 6: "tcp_flags", 5: "tos", 16: "src_as", 17: "dst_as",
    9: "src_mask", 13: "dst_mask", 29: "src_mask", 30: "dst_mask", 61: "direction",
    136: "flow_end_reason",
}  # fmt: skip
_ADDRESSES = {
    8: "src_ip", 12: "dst_ip", 15: "next_hop", 27: "src_ip", 28: "dst_ip", 62: "next_hop",
}  # fmt: skip
_MACS = {56: "src_mac", 80: "dst_mac"}


def rows(run: Script, sent: list[Sent]) -> list[dict[str, Any]]:
    """Return the flow rows that an RFC-conformant collector makes of the datagrams."""
    oracle = Oracle()
    found = []
    for datagram in sent:
        address = run.exporters.address[datagram.exporter]
        result = oracle.decode(datagram.octets, ipaddress.ip_address(address).packed)
        assert not result.faults
        assert len(result.records) == datagram.records
        head = header(datagram.octets)
        found += [_row(head, address, dict(record.values)) for record in result.records]
    return found


def _row(head: Header, address: str, values: dict[Any, bytes]) -> dict[str, Any]:
    row: dict[str, Any] = {
        "switch_id": address,
        "observation_domain": head.domain,
        "protocol_version": head.version,
    }
    for (_, element), octets in values.items():
        number = int.from_bytes(octets, "big")
        if element in _NUMBERS:
            row[_NUMBERS[element]] = number
        elif element in _ADDRESSES:
            row[_ADDRESSES[element]] = str(ipaddress.ip_address(octets))
        elif element in _MACS:
            row[_MACS[element]] = octets.hex(":")
        elif element in (21, 22):  # RFC 3954 8: system uptime at the last, first packet
            time = head.export_ms - (head.uptime_ms - number)
            row["flow_start" if element == 22 else "flow_end"] = time
        elif element in (152, 153):
            row["flow_start" if element == 152 else "flow_end"] = number
        else:
            assert element == 210, element
    return row
