"""sFlow: against the oracle for all octets, against tshark, and by hand."""

import ipaddress
import json
import os
import shutil
import struct
import subprocess
import time
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clarion.flows.normalize import Normalizer
from clarion.wire.batch import SLACK, DatagramBatch
from clarion.wire.constants import SFLOW
from clarion.wire.decode import Decoder, Limits
from clarion.wire.faults import Fault
from clarion.wire.tally import Tally
from tests import sflow_oracle
from tests.sflow_datagrams import (
    AGENT,
    AGENT6,
    GRE,
    MACS,
    PACKETS,
    PLAIN,
    counter_sample,
    datagram,
    ethernet,
    expanded_flow_sample,
    flow_sample,
    gateway,
    interface_counters,
    ipv4,
    item,
    raw_header,
    router,
    sampled_ethernet,
    sampled_ipv4,
    sampled_ipv6,
    sequences,
    switch,
    tcp,
    words,
)

SENDER = bytes(10) + b"\xff\xff\xc0\0\2\1"
SENDER6 = bytes(range(32, 48))
NOW = 1_700_000_000_123
PROFILE = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
TIMES = 20 if os.environ.get("HYPOTHESIS_PROFILE") == "deep" else 1
WEB = ethernet(0x0800, ipv4(6, tcp()), 42)


def decode(*payloads: bytes, decoder: Decoder | None = None, sender: bytes = SENDER):
    batch = DatagramBatch.of(list(payloads), address=sender, receive_ms=NOW)
    return (decoder or Decoder()).decode(batch)


def rows(decoded) -> Counter:
    """Return (ordinal, sample number, sample type, options, fields) of every record."""
    found: Counter = Counter()
    for records in decoded.records:
        fields = records.layout.fields
        numbers = [
            [int.from_bytes(row.tobytes()) for row in records.octets(p)] for p in range(len(fields))
        ]
        ordinal = records.headers.ordinal[records.datagram].tolist()
        place = zip(ordinal, records.set_number.tolist(), records.template_id.tolist(), strict=True)
        for where, values in zip(place, zip(*numbers, strict=True), strict=True):
            named = zip((f.element for f in fields), values, strict=True)
            known = tuple(sorted((e, v) for e, v in named if e != 210))
            found[*where, records.layout.options, known] += 1
    return found


def wanted(payloads: list[bytes], sender: bytes = SENDER):
    """Return what the oracle says: rows, faults, counters."""
    found, faults, tally = Counter(), Counter(), Counter()
    for ordinal, payload in enumerate(payloads):
        result = sflow_oracle.decode(payload, sender, NOW)
        for record in result.records:
            known = tuple(sorted(record.fields.items()))
            found[ordinal, record.set_number, record.set_id, record.options, known] += 1
            tally["options_records" if record.options else "records"] += 1
        faults.update((ordinal, fault) for fault in result.faults)
        tally["datagrams"] += 1
        tally["datagrams_sflow" if result.header else "malformed"] += 1
        tally["octets"] += len(payload)
        tally.update({f"octets_{bucket}": n for bucket, n in result.octets.items()})
        names = {"data": "data_sets", "counter": "counter_samples"}
        tally.update({names.get(name, f"sets_{name}"): n for name, n in result.sets.items()})
        tally["sets"] += result.sets["data"] + result.sets["reserved"]
    return found, faults, Tally(**tally)


def found_in(payloads: list[bytes], cuts: list[int], sender: bytes = SENDER):
    decoder = Decoder()
    found, faults, tally = Counter(), Counter(), Tally()
    ends = [0, *sorted(min(cut, len(payloads)) for cut in cuts), len(payloads)]
    for first, last in pairwise(ends):
        decoded = decode(*payloads[first:last], decoder=decoder, sender=sender)
        found += rows(decoded)
        ordinal = decoded.headers.ordinal
        for row, fault in zip(decoded.faults.datagram, decoded.faults.fault, strict=True):
            faults[int(ordinal[row]), Fault(fault).name] += 1
        tally += decoded.tally
    return found, faults, tally


def is_sflow_or_nothing(payload: bytes) -> bool:
    return payload[:2] not in (b"\0\1", b"\0\5", b"\0\7", b"\0\x09", b"\0\x0a")


@settings(PROFILE, max_examples=200 * TIMES)
@given(sequences(), st.sampled_from([SENDER, SENDER6]))
def test_decodes_as_the_oracle_does(payloads, sender):
    payloads = [payload for payload in payloads if is_sflow_or_nothing(payload)]
    assert found_in(payloads, [], sender) == wanted(payloads, sender)


@settings(PROFILE, max_examples=60 * TIMES)
@given(sequences(most=8), st.lists(st.integers(0, 8), max_size=4))
def test_any_split_into_batches_gives_the_same(payloads, cuts):
    assert found_in(payloads, cuts) == found_in(payloads, [])


@settings(PROFILE, max_examples=30 * TIMES)
@given(sequences(), st.integers(33, 70))
def test_many_datagrams_at_once_decode_as_the_oracle_does(payloads, times):
    payloads = [payload for payload in payloads if is_sflow_or_nothing(payload)] * times
    assert found_in(payloads, []) == wanted(payloads)


@settings(PROFILE, max_examples=200 * TIMES)
@given(st.binary(max_size=300))
def test_no_octets_raise(body):
    payloads = [words(5) + body, words(5) + AGENT + body, datagram(item(1, body), item(2, body))]
    assert found_in(payloads, []) == wanted(payloads)


@pytest.mark.parametrize("filler", [b"\0", b"\x81", b"\x06"])
def test_a_header_cut_anywhere_decodes_as_the_oracle_does(filler):
    packets = [(packet, 1) for packet in PACKETS] + [(packet, kind) for kind, packet in PLAIN]
    payloads = []
    for packet, kind in packets:
        for octets in range(len(packet) + 1):
            # What follows the header in its record is not the packet's.
            head = words(kind, 1500, 0, octets) + packet[:octets] + filler * 32
            payloads.append(datagram(flow_sample(item(1, head))))
    assert found_in(payloads, []) == wanted(payloads)


@pytest.mark.parametrize("segments", [0, 1, 32, 33])
def test_as_paths_of_any_length(segments):
    payload = datagram(flow_sample(gateway(*([n] for n in range(segments)))))
    found, faults, tally = found_in([payload], [])
    assert (found, faults, tally) == wanted([payload])
    assert bool(faults) == (segments > 32)


def test_results_hold_no_view_of_the_slab():
    payload = datagram(flow_sample(raw_header(WEB)), counter_sample(interface_counters(1, 2, 3)))
    batch = DatagramBatch.of([payload], address=SENDER, receive_ms=NOW)
    octets = np.concatenate([batch.octets, np.zeros(SLACK, np.uint8)])
    slab = DatagramBatch(
        octets, batch.start, batch.length, batch.address, batch.port, batch.receive_ms
    )
    decoded = Decoder().decode(slab)
    octets.fill(255)
    assert rows(decoded) == wanted([payload])[0]


def test_a_sample_in_flow_columns():
    records = (raw_header(WEB, frame=1518), router(), gateway([64510, 64511]), switch())
    decoded = decode(datagram(flow_sample(*records, rate=1000)))
    (found,) = decoded.records
    (row,) = Normalizer(switch_id_from_ip=False).normalize(found).to_pylist()
    received = row.pop("receive_time")
    assert row.pop("flow_start") == row.pop("flow_end") == received
    assert received.timestamp() == NOW / 1000
    assert {name: value for name, value in row.items() if value is not None} == {
        "src_ip": "10.1.2.3",
        "dst_ip": "198.51.100.7",
        "src_port": 49152,
        "dst_port": 443,
        "protocol": 6,
        "bytes": 1518,
        "packets": 1,
        "switch_id": "192.0.2.9",
        "src_mac": "02:03:04:05:06:07",
        "dst_mac": "0a:0b:0c:0d:0e:0f",
        "vlan_id": 42,
        "observation_domain": 3,
        "input_if": 3,
        "output_if": 4,
        "tcp_flags": 0x12,
        "tos": 0xB8,
        "src_as": 64500,
        "dst_as": 64511,
        "src_mask": 24,
        "dst_mask": 16,
        "next_hop": "192.0.2.9",
        "sampling_interval": 1000,
        "protocol_version": SFLOW,
    }


def test_headers():
    decoded = decode(datagram(*[flow_sample()] * 3), datagram(agent=AGENT6, domain=8))
    headers = decoded.headers
    assert headers.version.tolist() == [SFLOW, SFLOW]
    assert headers.domain.tolist() == [3, 8]
    assert headers.sequence.tolist() == [77, 77]
    assert headers.uptime_ms.tolist() == [123_456] * 2
    assert headers.count.tolist() == [3, 0]
    assert headers.export_ms.tolist() == [NOW, NOW]
    assert headers.session.tolist() == [0, 1]


def test_what_is_not_ip_still_gives_a_row():
    decoded = decode(datagram(flow_sample(raw_header(PACKETS[12])), flow_sample()))
    flows = [Normalizer().normalize(records).to_pylist()[0] for records in decoded.records]
    arp, nothing = sorted(flows, key=lambda flow: flow["bytes"] is None)
    assert arp["src_ip"] is arp["src_port"] is arp["protocol"] is arp["tos"] is None
    assert arp["src_mac"] == "02:03:04:05:06:07"
    assert nothing["bytes"] is None
    assert nothing["packets"] == 1


def test_interface_counters_are_options_records():
    decoded = decode(datagram(counter_sample(interface_counters(7, 2**40, 99), expanded=True)))
    (found,) = decoded.records
    assert found.layout.options
    assert found.layout.scope_count == 1
    values = {
        element: found.unsigned(found.layout.find(element)).tolist()
        for element in (10, 368, 85, 171, 135, 174)
    }
    assert values == {10: [7], 368: [6], 85: [2**40], 171: [99], 135: [14], 174: [22]}
    assert decoded.tally.counter_samples == decoded.tally.options_records == 1


def test_the_packet_goes_before_what_the_agent_says_of_it():
    records = (sampled_ipv4(), sampled_ethernet(), raw_header(WEB, frame=99), raw_header(b""))
    found = rows(decode(datagram(flow_sample(*records))))
    ((*_, fields),) = found
    fields = dict(fields)
    assert fields[8] == 0x0A010203
    assert fields[1] == 99
    assert fields[80].to_bytes(6) == MACS[:6]
    assert fields[256] == 0x0800


def test_a_broken_record_leaves_what_came_before_it():
    good = raw_header(WEB)
    decoded = decode(datagram(flow_sample(good, item(1002, b"", length=4000))))
    assert decoded.tally.records == 1
    assert decoded.tally.octets_malformed == 8
    assert [Fault(fault) for fault in decoded.faults.fault] == [Fault.RECORD_OVERRUN]


@pytest.mark.parametrize(
    ("payload", "fault"),
    [
        (words(5)[:3], Fault.BAD_VERSION),
        (words(4) + AGENT + bytes(16), Fault.BAD_VERSION),
        (words(5), Fault.SHORT_HEADER),
        (words(5) + AGENT + bytes(15), Fault.SHORT_HEADER),
        (words(5) + AGENT6 + bytes(15), Fault.SHORT_HEADER),
        (words(5, 3) + bytes(40), Fault.BAD_AGENT),
    ],
)
def test_a_datagram_without_a_usable_header_is_malformed(payload, fault):
    decoded = decode(payload)
    assert [Fault(fault) for fault in decoded.faults.fault] == [fault]
    assert decoded.tally.octets == decoded.tally.octets_malformed == len(payload)
    assert decoded.headers.version.tolist() == [0]


def test_a_refused_exporter_is_counted_once():
    decoder = Decoder(Limits(sessions=1))
    decoded = decode(datagram(flow_sample()), datagram(domain=4), decoder=decoder)
    tally = decoded.tally
    assert (tally.datagrams_sflow, tally.refused, tally.malformed) == (1, 1, 0)
    buckets = [name for name in Tally.__dataclass_fields__ if name.startswith("octets_")]
    assert tally.octets == sum(getattr(tally, name) for name in buckets)


@pytest.mark.parametrize(
    "payload",
    [
        datagram(*[item(5, b"")] * 8000),
        datagram(flow_sample(*[item(1005, b"")] * 8000)),
        datagram(flow_sample(item(1003, AGENT + words(1, 2, 3, 32) + words(2, 0) * 8000))),
        datagram(*[flow_sample(raw_header(b""), sampled_ipv4())] * 500),
    ],
)
def test_hostile_chains_cost_little(payload):
    payloads = [payload] * 8
    assert found_in(payloads, []) == wanted(payloads)
    started = time.process_time()
    decode(*payloads)
    assert time.process_time() - started < 1.0


def tshark(payloads: list[bytes], path) -> list[dict]:
    """Return tshark's account of each datagram; of repeated names it makes lists."""
    capture = [struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 101)]
    for payload in payloads:
        packet = struct.pack("!BBHHHBBH", 0x45, 0, 28 + len(payload), 0, 0, 64, 17, 0)
        packet += SENDER[12:] + bytes([192, 0, 2, 2])
        packet += struct.pack("!HHHH", 9000, 6343, 8 + len(payload), 0) + payload
        capture.append(struct.pack("<IIII", 1_700_000_000, 0, len(packet), len(packet)) + packet)
    path.write_bytes(b"".join(capture))
    command = ["tshark", "-r", str(path), "-d", "udp.port==6343,sflow", "-T", "json"]
    done = subprocess.run(
        [*command, "--no-duplicate-keys"], capture_output=True, check=True, timeout=60
    )
    return [packet["_source"]["layers"]["sflow"] for packet in json.loads(done.stdout)]


def leaves(layer: dict) -> dict[str, str]:
    """Return the first value of each name, at any depth."""
    found: dict[str, str] = {}
    for name, value in layer.items():
        first = value[0] if isinstance(value, list) else value
        if isinstance(first, dict):
            found = leaves(first) | found
        else:
            found.setdefault(name, first)
    return found


# Information Elements by tshark's names. The TCP flags of "IPv4 data" are left out: tshark reads
# them from the upper octet of the four.
TSHARK = {
    "ip.src": 8, "ip.dst": 12, "ip.proto": 4, "ip.dsfield": 5, "ipv6.src": 27, "ipv6.dst": 28,
    "ipv6.tclass": 5, "tcp.srcport": 7, "tcp.dstport": 11, "tcp.flags": 6, "udp.srcport": 7,
    "udp.dstport": 11, "eth.src": 56, "eth.dst": 80, "sflow_245.header.frame_length": 1,
    "sflow.flow_sample.sampling_rate": 34, "sflow.flow_sample.input_interface": 10,
    "sflow.flow_sample.input_interface_value": 10, "sflow.flow_sample.output_interface_value": 14,
    "sflow_245.ipv4_src": 8, "sflow_245.ipv4_dst": 12, "sflow_245.ipv6_src": 27,
    "sflow_245.ipv6_dst": 28, "sflow.ip_protocol": 4, "sflow_245.ip.source_port": 7,
    "sflow.ip.destination_port": 11, "sflow_245.vlan.in": 58, "sflow_245.vlan.out": 59,
    "sflow_245.nexthop.src_mask": 9, "sflow_245.nexthop.dst_mask": 13, "sflow_245.srcAS": 16,
    "sflow_245.agent": 130, "sflow_245.agent.v6": 131,
    "sflow_245.ethernet.source_mac_address": 56, "sflow_245.ethernet.packet_type": 256,
    "sflow_245.ethernet.destination_mac_address": 80, "sflow_245.ifindex": 10,
    "sflow_245.iftype": 368, "sflow_245.ifinoct": 85, "sflow_245.ifindisc": 135,
    "sflow_245.ifoutoct": 171, "sflow_245.ifoutmcast": 174,
}  # fmt: skip


def as_number(text: str) -> int:
    if text.count(":") == 5 and len(text) == 17:
        return int(text.replace(":", ""), 16)
    if ":" in text or text.count(".") == 3:
        return int(ipaddress.ip_address(text))
    return int(text, 0)


@pytest.mark.peer
@pytest.mark.skipif(shutil.which("tshark") is None, reason="no tshark")
def test_tshark_says_the_same(tmp_path):
    path = router(), gateway([64510, 64511])
    packets = [
        packet for packet in PACKETS[:-3] if packet is not GRE
    ]  # tshark tells what is inside
    payloads = [
        *(datagram(flow_sample(raw_header(packet))) for packet in packets),
        *(datagram(expanded_flow_sample(raw_header(*reversed(one)))) for one in PLAIN[:3]),
        datagram(flow_sample(sampled_ipv4(), sampled_ethernet(), switch(), *path)),
        datagram(expanded_flow_sample(sampled_ipv6(), inward=(0, 2**31)), agent=AGENT6),
        datagram(counter_sample(interface_counters(7, 2**40, 99))),
        datagram(counter_sample(interface_counters(8, 1, 2), expanded=True)),
    ]
    ours = {ordinal: dict(fields) for ordinal, *_, fields in rows(decode(*payloads))}
    assert len(ours) == len(payloads)
    compared = Counter()
    for ordinal, account in enumerate(tshark(payloads, tmp_path / "sflow.pcap")):
        said = leaves(account)
        theirs = {
            element: as_number(said[name]) for name, element in TSHARK.items() if name in said
        }
        if vlan := as_number(said.get("ieee8021ad.id", said.get("vlan.id", "0"))):
            theirs[58] = vlan  # 0: a priority without a VLAN
        if "icmp.type" in said:
            theirs[32] = as_number(said["icmp.type"]) << 8 | as_number(said["icmp.code"])
        if "icmpv6.type" in said:
            theirs[139] = as_number(said["icmpv6.type"]) << 8 | as_number(said["icmpv6.code"])
        counters = 85 in ours[ordinal]
        theirs = {e: v for e, v in theirs.items() if not (counters and e in (130, 131))}
        assert {e: ours[ordinal].get(e) for e in theirs} == theirs, payloads[ordinal].hex()
        compared.update(theirs)
    assert len(compared) >= 30
