import gzip
import struct

import numpy as np
import pytest

from clarion.errors import CaptureError, UsageError
from clarion.net.frames import LINK_TYPES
from clarion.net.pcap import CaptureReader

PAYLOAD = b"\x00\x09" + bytes(range(60))
SOURCE, TARGET = bytes([192, 0, 2, 1]), bytes([192, 0, 2, 250])
SOURCE6 = bytes.fromhex("20010db8000000000000000000000001")
TARGET6 = bytes.fromhex("20010db8000000000000000000000002")
MAPPED = bytes(10) + b"\xff\xff"
MACS = bytes(12)


def udp(payload=PAYLOAD, sport=50000, dport=2055, length=None):
    size = 8 + len(payload) if length is None else length
    return struct.pack("!HHHH", sport, dport, size, 0xBAD) + payload


def ipv4(body, *, proto=17, offset=0, more=False, ident=7, source=SOURCE, options=b"", total=None):
    head = 20 + len(options)
    flags = (0x2000 if more else 0) | offset // 8
    return (
        struct.pack(
            "!BBHHHBBH4s4s",
            0x40 | head // 4,
            0,
            head + len(body) if total is None else total,
            ident,
            flags,
            64,
            proto,
            0xDEAD,
            source,
            TARGET,
        )
        + options
        + body
    )


def ipv6(body, *, kind=17):
    return struct.pack("!IHBB", 6 << 28, len(body), kind, 64) + SOURCE6 + TARGET6 + body


def ethernet(packet, *, kind=0x0800, tags=()):
    return (
        MACS
        + b"".join(struct.pack("!HH", tag, 5) for tag in tags)
        + struct.pack("!H", kind)
        + packet
    )


def pcap(frames, *, link=1, order="<", nano=False, fraction=0):
    magic = 0xA1B23C4D if nano else 0xA1B2C3D4
    parts = [struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, 65535, link)]
    for number, frame in enumerate(frames):
        parts.append(
            struct.pack(order + "IIII", 1_700_000_000 + number, fraction, len(frame), len(frame))
        )
        parts.append(frame)
    return b"".join(parts)


def block(order, kind, body):
    body += bytes(-len(body) % 4)
    return (
        struct.pack(order + "II", kind, len(body) + 12)
        + body
        + struct.pack(order + "I", len(body) + 12)
    )


def section(order="<"):
    return block(order, 0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1))


def interface(order="<", link=1, snap=0, options=b""):
    return block(order, 1, struct.pack(order + "HHI", link, 0, snap) + options)


def enhanced(frame, ticks, order="<", which=0):
    head = struct.pack(order + "5I", which, ticks >> 32, ticks & 0xFFFFFFFF, len(frame), len(frame))
    return block(order, 6, head + frame)


def simple(frame, order="<"):
    return block(order, 3, struct.pack(order + "I", len(frame)) + frame)


@pytest.fixture
def read(tmp_path):
    """Write octets to a file; return its datagrams, the final stats and the note."""

    def run(octets, **options):
        path = tmp_path / "a.pcap"
        path.write_bytes(octets)
        with CaptureReader(path, **options) as capture:
            return list(capture.datagrams()), capture.stats, capture.note

    return run


def only(found):
    datagrams, _, note = found
    assert note == ""
    (datagram,) = datagrams
    return datagram


@pytest.mark.parametrize(
    ("link", "before"),
    [
        (1, MACS + b"\x08\x00"),
        (1, MACS + b"\x81\x00\x00\x05\x08\x00"),
        (1, MACS + b"\x88\xa8\x00\x05\x81\x00\x00\x06\x08\x00"),
        (101, b""),
        (12, b""),
        (14, b""),
        (228, b""),
        (113, bytes(14) + b"\x08\x00"),
        (113, bytes(14) + b"\x81\x00\x00\x05\x08\x00"),
        (276, b"\x08\x00" + bytes(18)),
        (0, b"\x02\x00\x00\x00"),
        (108, b"\x00\x00\x00\x02"),
    ],
)
def test_link_types(read, link, before):
    datagram = only(read(pcap([before + ipv4(udp())], link=link)))

    assert datagram.payload == PAYLOAD
    assert datagram.address == MAPPED + SOURCE
    assert (datagram.port, datagram.target_port) == (50000, 2055)
    assert datagram.target == MAPPED + TARGET


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize(("nano", "fraction"), [(False, 123_999), (True, 123_999_999)])
def test_byte_orders_and_clocks(read, order, nano, fraction):
    datagram = only(read(pcap([ethernet(ipv4(udp()))], order=order, nano=nano, fraction=fraction)))

    assert datagram.receive_ms == 1_700_000_000_123


def test_ethernet_padding_and_ip_options_are_left_out(read):
    frame = ethernet(ipv4(udp(b"abc"), options=b"\x01" * 8)) + bytes(20)

    assert only(read(pcap([frame]))).payload == b"abc"


@pytest.mark.parametrize(
    ("headers", "first"),
    [
        (b"", 17),
        (b"\x11\x00" + bytes(6), 0),
        (b"\x3c\x00" + bytes(6) + b"\x11\x01" + bytes(14), 43),
        (b"\x11\x04" + bytes(22), 51),
        (b"\x11\x00\x00\x00\x00\x00\x00\x09", 44),
    ],
)
def test_ipv6_extension_headers(read, headers, first):
    datagram = only(read(pcap([ethernet(ipv6(headers + udp(), kind=first), kind=0x86DD)])))

    assert datagram.payload == PAYLOAD
    assert (datagram.address, datagram.target) == (SOURCE6, TARGET6)


def ipv4_fragments(body, sizes, **fields):
    at, found = 0, []
    for size in sizes:
        piece = body[at : at + size]
        found.append(ipv4(piece, offset=at, more=at + size < len(body), **fields))
        at += size
    return [ethernet(packet) for packet in found]


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2, 1, 0), (0, 0, 1, 1, 2)])
def test_ipv4_fragments_are_put_together(read, order):
    body = udp(bytes(range(200)))
    frames = ipv4_fragments(body, (80, 80, 200))
    datagrams, stats, _ = read(pcap([frames[i] for i in order]))

    assert [d.payload for d in datagrams] == [bytes(range(200))]
    assert stats.fragments == len(order)


def test_fragments_of_two_exporters_do_not_mix(read):
    one = ipv4_fragments(udp(b"a" * 100), (56, 56))
    two = ipv4_fragments(udp(b"b" * 100), (56, 56), source=bytes([192, 0, 2, 2]))

    datagrams, _, _ = read(pcap([one[0], two[0], two[1], one[1]]))

    assert [d.payload for d in datagrams] == [b"b" * 100, b"a" * 100]


def test_ipv6_fragments_are_put_together(read):
    body = udp(bytes(range(100)))
    frames = [
        ethernet(
            ipv6(struct.pack("!BBHI", 17, 0, at | (at < 96), 42) + body[at : at + 48], kind=44),
            kind=0x86DD,
        )
        for at in (0, 48, 96)
    ]

    assert only(read(pcap(frames))).payload == bytes(range(100))


def test_fragments_that_stay_alone_are_counted(read):
    frames = [ipv4_fragments(udp(), (32, 100), ident=i)[0] for i in range(300)]
    datagrams, stats, _ = read(pcap(frames))

    assert not datagrams
    assert (stats.fragments, stats.unassembled, stats.datagrams) == (300, 300, 0)


@pytest.mark.parametrize("offsets", [(0, 8, 48), (0, 40, 48, 8)])
def test_overlapping_fragments_give_no_datagram(read, offsets):
    body = udp(bytes(88))
    frames = [
        ethernet(ipv4(body[at : at + 48], offset=at, more=at + 48 < len(body))) for at in offsets
    ]
    datagrams, stats, _ = read(pcap(frames))

    assert not datagrams
    assert stats.malformed >= 1


def test_a_late_fragment_does_not_complete_an_old_datagram(read):
    first, last = ipv4_fragments(udp(), (32, 100))
    filler = [ethernet(ipv4(udp()))] * 61
    datagrams, stats, _ = read(pcap([first, *filler, last]))

    assert len(datagrams) == 61
    assert stats.unassembled == 2


def test_what_is_not_udp_is_counted(read):
    frames = [
        ethernet(ipv4(b"x" * 20, proto=6)),
        ethernet(b"arp", kind=0x0806),
        ethernet(ipv6(b"x" * 20, kind=58), kind=0x86DD),
        ethernet(b"\x70" + bytes(40)),
        ethernet(ipv4(udp(dport=53))),
        ethernet(ipv4(udp())),
    ]
    datagrams, stats, _ = read(pcap(frames), ports=[2055, 4739])

    assert [d.target_port for d in datagrams] == [2055]
    assert (stats.frames, stats.not_udp, stats.other_port, stats.datagrams) == (6, 4, 1, 1)


def test_a_packet_cut_by_the_snap_length_is_kept_and_counted(read):
    datagrams, stats, _ = read(pcap([ethernet(ipv4(udp()))[:70]]))

    assert datagrams[0].payload == PAYLOAD[:28]
    assert stats.cut == 1


@pytest.mark.parametrize(
    "packet",
    [
        ipv4(udp(length=7)),
        ipv4(udp(length=500)),
        ipv4(b"\0" * 7),
        ipv4(udp(), total=10),
        b"\x43" + ipv4(udp())[1:],
        ipv4(udp())[:15],
        b"",
    ],
)
def test_malformed_frames_are_counted(read, packet):
    datagrams, stats, _ = read(pcap([ethernet(packet)]))

    assert not datagrams
    assert stats.malformed == 1


def test_no_octets_raise(read):
    random = np.random.default_rng(5)
    whole = [ethernet(ipv4(udp(), options=bytes(4))), ethernet(ipv6(udp()), kind=0x86DD)]
    whole += ipv4_fragments(udp(), (32, 100))
    for link in sorted(LINK_TYPES):
        frames = [random.bytes(int(n)) for n in random.integers(0, 80, 300)]
        for frame in whole:
            frames += [frame[:n] for n in range(len(frame))]
            for _ in range(200):
                octets = bytearray(frame)
                octets[random.integers(0, len(octets))] = random.integers(0, 256)
                frames.append(bytes(octets))
        datagrams, stats, _ = read(pcap(frames, link=link))
        assert stats.frames == len(frames)
        assert len(datagrams) == stats.datagrams


@pytest.mark.parametrize("order", "<>")
def test_pcapng(read, order):
    nanoseconds = struct.pack(order + "HHB3x", 9, 1, 9) + struct.pack(order + "HH", 0, 0)
    halves = struct.pack(order + "HHB3x", 9, 1, 0x81) + struct.pack(order + "HHq", 14, 8, 1000)
    frame = ethernet(ipv4(udp()))
    datagrams, stats, note = read(
        section(order)
        + interface(order)
        + interface(order, link=101, options=nanoseconds)
        + interface(order, options=halves)
        + block(order, 0x00000BAD, b"unknown block")
        + enhanced(frame, 1_700_000_000_123_456, order)
        + enhanced(ipv4(udp()), 1_700_000_001_123_456_789, order, which=1)
        + enhanced(frame, 7, order, which=2)
        + simple(frame, order)
        + enhanced(frame, 0, order, which=9)
        + section(order)
        + interface(order, link=101)
        + simple(ipv4(udp()), order)
    )

    assert [d.payload for d in datagrams] == [PAYLOAD] * 5
    assert [d.receive_ms for d in datagrams][:3] == [
        1_700_000_000_123,
        1_700_000_001_123,
        1_003_500,
    ]
    assert stats.frames == 5
    assert note == ""


def test_pcapng_times_do_not_overflow(tmp_path):
    seconds = struct.pack("<HHB3x", 9, 1, 0)
    path = tmp_path / "a.pcapng"
    frame = enhanced(ethernet(ipv4(udp())), 2**64 - 1)
    path.write_bytes(section() + interface(options=seconds) + frame)

    with CaptureReader(path) as capture:
        (batch,) = capture.batches()

    assert len(batch) == 1


def test_simple_packets_are_cut_at_the_snap_length(read):
    frame = ethernet(ipv4(udp()))
    body = struct.pack("<I", len(frame)) + frame[:70] + b"zz"
    datagrams, stats, _ = read(section() + interface(snap=70) + block("<", 3, body))

    assert datagrams[0].payload == PAYLOAD[:28]
    assert stats.cut == 1


def test_gzip(read):
    assert only(read(gzip.compress(pcap([ethernet(ipv4(udp()))])))).payload == PAYLOAD


def test_batches(tmp_path):
    path = tmp_path / "a.pcap"
    path.write_bytes(pcap([ethernet(ipv4(udp(bytes([i]) * i))) for i in range(1, 8)]))

    with CaptureReader(path) as capture:
        batches = list(capture.batches(3))

    assert [len(b) for b in batches] == [3, 3, 1]
    assert [b.datagram(i) for b in batches for i in range(len(b))] == [
        bytes([i]) * i for i in range(1, 8)
    ]
    assert batches[0].address.tobytes() == (MAPPED + SOURCE) * 3
    assert batches[0].port.tolist() == [50000] * 3
    assert batches[2].receive_ms.tolist() == [1_700_000_006_000]


@pytest.mark.parametrize(
    ("octets", "said"),
    [
        (b"", "empty file"),
        (b"hello, world", "neither pcap nor pcapng"),
        (b"\x00", "neither pcap nor pcapng"),
        (pcap([])[:20], "ends in its header, after 20 of 24 octets"),
        (pcap([], link=105), "link type 105"),
        (section()[:10], "section header is broken"),
        (section()[:8] + b"nope" + section()[12:], "section header is broken"),
        (gzip.compress(b""), "empty file"),
        (b"\x1f\x8bnot gzip after all", "cannot be read past octet 0"),
    ],
)
def test_what_is_no_capture_is_one_clear_line(read, octets, said):
    with pytest.raises(CaptureError) as caught:
        read(octets)

    assert said in str(caught.value)
    assert "a.pcap" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_a_usage_error(tmp_path):
    for path in (tmp_path / "none.pcap", tmp_path):
        with pytest.raises(UsageError, match="give a pcap file"), CaptureReader(path):
            pass


FRAME = ethernet(ipv4(udp()))
CLASSIC = pcap([FRAME, FRAME])
NG = section() + interface() + enhanced(FRAME, 1) + enhanced(FRAME, 2)


@pytest.mark.parametrize("octets", [CLASSIC, NG])
def test_a_truncated_file_gives_what_came_before(read, octets):
    for cut in (1, 10, len(FRAME), len(FRAME) + 10):
        datagrams, _, note = read(octets[:-cut])
        assert len(datagrams) == 1
        assert note.startswith("ends inside a ")
        assert "1 frames came before" in note


def test_a_broken_length_ends_the_file(read):
    broken = CLASSIC[:32] + b"\xff\xff\xff\x7f" + CLASSIC[36:]
    assert read(broken)[2].startswith("ends inside a packet")
    short = NG[:-1] + b"" + struct.pack("<II", 6, 4)
    assert len(read(short)[0]) == 2


def test_truncated_gzip_is_noted(read):
    random = np.random.default_rng(1)
    frames = [ethernet(ipv4(udp(random.bytes(1000)))) for _ in range(50)]
    datagrams, _, note = read(gzip.compress(pcap(frames))[:-20_000])

    assert 0 < len(datagrams) < 50
    assert "cannot be read past octet" in note


def test_scapy_writes_what_is_read(tmp_path):
    pytest.importorskip("scapy")
    import logging

    logging.getLogger("scapy.runtime").setLevel(logging.ERROR)
    from scapy.layers.inet import IP, UDP, fragment
    from scapy.layers.inet6 import IPv6
    from scapy.layers.l2 import Dot1Q, Ether
    from scapy.utils import PcapNgWriter, wrpcap

    load = bytes(range(256)) * 8
    packets = [
        Ether() / Dot1Q(vlan=9) / IP(src="198.51.100.7") / UDP(sport=1, dport=2055) / load,
        Ether() / IPv6(src="2001:db8::7") / UDP(sport=2, dport=4739) / load,
        *fragment(Ether() / IP(src="198.51.100.8") / UDP(sport=3, dport=2055) / load, fragsize=600),
    ]
    wrpcap(str(tmp_path / "a.pcap"), packets)
    with PcapNgWriter(str(tmp_path / "b.pcapng")) as writer:
        for packet in packets:
            writer.write(packet)
    for name in ("a.pcap", "b.pcapng"):
        with CaptureReader(tmp_path / name) as capture:
            datagrams = list(capture.datagrams())
        assert [d.port for d in datagrams] == [1, 2, 3]
        assert {d.payload for d in datagrams} == {load}
        assert datagrams[0].address == MAPPED + bytes([198, 51, 100, 7])
