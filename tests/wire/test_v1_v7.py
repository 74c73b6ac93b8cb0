"""NetFlow v1 and v7: the same path as v5, with their own header and record."""

import json
import shutil
import struct
import subprocess
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clarion.flows.normalize import Normalizer
from clarion.wire.batch import DatagramBatch
from clarion.wire.decode import Decoder
from clarion.wire.faults import Fault
from clarion.wire.tally import Tally
from tests.damage import MUTATIONS

SENDER = bytes(10) + b"\xff\xff\xc0\0\2\1"
# Names and octets, as Cisco's tables and tshark have them.
BEFORE = [
    ("src", 4), ("dst", 4), ("hop", 4), ("in", 2), ("out", 2), ("packets", 4), ("octets", 4),
    ("first", 4), ("last", 4), ("sport", 2), ("dport", 2),
]  # fmt: skip
V1 = [*BEFORE, ("pad", 2), ("proto", 1), ("tos", 1), ("flags", 1), ("pad", 3), ("reserved", 4)]
V7 = [
    *BEFORE, ("invalid", 1), ("flags", 1), ("proto", 1), ("tos", 1), ("src_as", 2), ("dst_as", 2),
    ("src_mask", 1), ("dst_mask", 1), ("pad", 2), ("router", 4),
]  # fmt: skip
ELEMENTS = {
    "src": 8, "dst": 12, "hop": 15, "in": 10, "out": 14, "packets": 2, "octets": 1, "first": 22,
    "last": 21, "sport": 7, "dport": 11, "proto": 4, "tos": 5, "flags": 6, "src_as": 16,
    "dst_as": 17, "src_mask": 9, "dst_mask": 13, "router": 43,
}  # fmt: skip
FORMS = {1: (16, 48, V1), 7: (24, 52, V7)}
UPTIME, SECONDS, NANOSECONDS = 90_000, 1_700_000_000, 250_000_000


def datagram(version: int, records: list[bytes], count: int | None = None, tail=b"") -> bytes:
    number = len(records) if count is None else count
    header = struct.pack("!HHIII", version, number, UPTIME, SECONDS, NANOSECONDS)
    if version == 7:
        header += struct.pack("!II", 77, 0)
    return header + b"".join(records) + tail


def record(version: int, seed: int = 1) -> bytes:
    return bytes((seed + n) & 255 for n in range(FORMS[version][1]))


def decode(payloads: list[bytes], cuts: list[int] = ()):  # type: ignore[assignment]
    """Return every record as (ordinal, number, {element: value}), faults and counters."""
    decoder = Decoder()
    rows, faults, tally = [], [], Tally()
    ends = [0, *sorted(min(cut, len(payloads)) for cut in cuts), len(payloads)]
    for first, last in pairwise(ends):
        batch = DatagramBatch.of(payloads[first:last], address=SENDER)
        decoded = decoder.decode(batch)
        tally += decoded.tally
        ordinal = decoded.headers.ordinal
        places = zip(decoded.faults.datagram, decoded.faults.fault, strict=True)
        faults += [(int(ordinal[row]), Fault(fault).name) for row, fault in places]
        for records in decoded.records:
            fields = records.layout.fields
            columns = [
                [int.from_bytes(row.tobytes()) for row in records.octets(p)]
                for p in range(len(fields))
            ]
            where = zip(ordinal[records.datagram].tolist(), records.number.tolist(), strict=True)
            for place, values in zip(where, zip(*columns, strict=True), strict=True):
                named = zip((field.element for field in fields), values, strict=True)
                rows.append((*place, {e: v for e, v in named if e != 210}))
    return sorted(rows, key=lambda row: row[:2]), sorted(faults), tally


def oracle(payloads: list[bytes]):
    rows, faults, tally = [], [], Tally(datagrams=len(payloads))
    for ordinal, data in enumerate(payloads):
        tally.octets += len(data)
        version = int.from_bytes(data[:2]) if len(data) >= 2 else 0
        header, size, fields = FORMS.get(version, (0, 0, []))
        if not header or len(data) < header:
            tally.malformed += 1
            tally.octets_malformed += len(data)
            faults.append((ordinal, "SHORT_HEADER" if header else "BAD_VERSION"))
            continue
        (count,) = struct.unpack_from("!H", data, 2)
        fitting = min(count, (len(data) - header) // size)
        if fitting < count:
            faults.append((ordinal, "COUNT_MISMATCH"))
        for number in range(fitting):
            at, values = header + size * number, {}
            for name, octets in fields:
                if name in ELEMENTS:
                    values[ELEMENTS[name]] = int.from_bytes(data[at : at + octets])
                at += octets
            rows.append((ordinal, number, values))
        tally.datagrams_v1 += version == 1
        tally.datagrams_v7 += version == 7
        tally.sets += 1
        tally.data_sets += 1
        tally.records += fitting
        tally.octets_header += header
        tally.octets_record += size * fitting
        tally.octets_trailing += len(data) - header - size * fitting
    return rows, sorted(faults), tally


@st.composite
def sequences(draw: st.DrawFn) -> list[bytes]:
    drawn = []
    for _ in range(draw(st.integers(1, 6))):
        version = draw(st.sampled_from([1, 7]))
        records = [
            record(version, draw(st.integers(0, 255))) for _ in range(draw(st.integers(0, 3)))
        ]
        count = draw(st.sampled_from([None, None, None, 0, 1, 65535]))
        payload = datagram(version, records, count, draw(st.sampled_from([b"", b"", b"\0\0\0"])))
        if draw(st.integers(0, 3)) == 0:
            payload = draw(st.sampled_from(MUTATIONS))(draw, payload)
        drawn.append(payload)
    others = (b"\0\5", b"\0\x09", b"\0\x0a", b"\0\0\0\5")
    return [payload for payload in drawn if not payload.startswith(others)]


@settings(deadline=None, max_examples=200)
@given(sequences(), st.lists(st.integers(0, 6), max_size=3))
def test_decodes_as_the_oracle_does_in_any_batches(payloads, cuts):
    assert decode(payloads) == oracle(payloads)
    assert decode(payloads, cuts) == oracle(payloads)


@pytest.mark.parametrize("version", [1, 7])
def test_headers_and_flow_columns(version):
    payload = datagram(version, [record(version)])
    decoded = Decoder().decode(DatagramBatch.of([payload], address=SENDER))
    headers = decoded.headers
    assert headers.version.tolist() == [version]
    assert headers.sequence.tolist() == [77 if version == 7 else 0]
    assert headers.domain.tolist() == [0]
    assert headers.uptime_ms.tolist() == [UPTIME]
    assert headers.export_ms.tolist() == [SECONDS * 1000 + 250]
    (flow,) = Normalizer().normalize(decoded.records[0]).to_pylist()
    assert flow["src_ip"] == "1.2.3.4"
    assert flow["protocol"] == 39
    assert flow["tcp_flags"] == (41 if version == 1 else 38)
    assert flow["protocol_version"] == version
    assert flow["sampling_interval"] is None
    assert (flow["src_as"] is None) == (version == 1)
    first = int.from_bytes(record(version)[24:28])
    start = SECONDS * 1000 + 250 + (first - UPTIME)
    assert flow["flow_start"].timestamp() == start / 1000


TSHARK = {
    "cflow.srcaddr": "src", "cflow.dstaddr": "dst", "cflow.nexthop": "hop",
    "cflow.inputint": "in", "cflow.outputint": "out", "cflow.packets": "packets",
    "cflow.octets": "octets", "cflow.srcport": "sport", "cflow.dstport": "dport",
    "cflow.protocol": "proto", "cflow.tos": "tos", "cflow.tcpflags": "flags",
    "cflow.srcas": "src_as", "cflow.dstas": "dst_as", "cflow.srcmask": "src_mask",
    "cflow.dstmask": "dst_mask", "cflow.routersc": "router",
}  # fmt: skip


@pytest.mark.peer
@pytest.mark.skipif(shutil.which("tshark") is None, reason="no tshark")
@pytest.mark.parametrize("version", [1, 7])
def test_tshark_says_the_same(version, tmp_path):
    payload = datagram(version, [record(version, 1), record(version, 100)])
    packet = struct.pack("!BBHHHBBH", 0x45, 0, 28 + len(payload), 0, 0, 64, 17, 0)
    packet += SENDER[12:] * 2 + struct.pack("!HHHH", 9000, 2055, 8 + len(payload), 0) + payload
    frame = struct.pack("<IIII", SECONDS, 0, len(packet), len(packet)) + packet
    path = tmp_path / "netflow.pcap"
    path.write_bytes(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 101) + frame)
    command = ["tshark", "-r", str(path), "-d", "udp.port==2055,cflow", "-T", "json"]
    done = subprocess.run(command, capture_output=True, check=True, timeout=60)
    (one,) = json.loads(done.stdout)
    pdus = [v for k, v in one["_source"]["layers"]["cflow"].items() if k.startswith("pdu")]
    rows, _, _ = decode([payload])
    assert len(pdus) == len(rows) == 2
    for pdu, (*_, fields) in zip(pdus, rows, strict=True):
        theirs = {ELEMENTS[name]: _number(pdu[key]) for key, name in TSHARK.items() if key in pdu}
        assert len(theirs) >= 12
        assert {element: fields[element] for element in theirs} == theirs


def _number(text: str) -> int:
    if text.count(".") == 3:
        return int.from_bytes(bytes(int(part) for part in text.split(".")))
    return int(text, 0)
