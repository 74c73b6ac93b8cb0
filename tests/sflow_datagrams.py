"""sFlow datagrams put together by hand or drawn: packets, flow records, samples, datagrams."""

import struct

from hypothesis import strategies as st

from tests.damage import MUTATIONS

AGENT = struct.pack("!I4B", 1, 192, 0, 2, 9)
AGENT6 = struct.pack("!I", 2) + bytes(range(16))
MACS = bytes.fromhex("0a0b0c0d0e0f") + bytes.fromhex("020304050607")  # destination, source


def words(*numbers: int) -> bytes:
    return struct.pack(f"!{len(numbers)}I", *numbers)


def item(kind: int, body: bytes, length: int | None = None) -> bytes:
    """Encode a sample or a flow record: type, length, body filled up to four octets."""
    return words(kind, len(body) if length is None else length) + body + bytes(-len(body) % 4)


def datagram(*samples: bytes, agent: bytes = AGENT, count: int | None = None, domain=3) -> bytes:
    number = len(samples) if count is None else count
    return words(5) + agent + words(domain, 77, 123_456, number) + b"".join(samples)


def flow_sample(*records: bytes, rate=400, inward=3, outward=4, count: int | None = None) -> bytes:
    number = len(records) if count is None else count
    head = words(9, 3, rate, rate * 9, 0, inward, outward, number)
    return item(1, head + b"".join(records))


def expanded_flow_sample(*records: bytes, rate=400, inward=(0, 3), outward=(0, 4)) -> bytes:
    head = words(9, 0, 3, rate, rate * 9, 0, *inward, *outward, len(records))
    return item(3, head + b"".join(records))


def counter_sample(*records: bytes, expanded: bool = False) -> bytes:
    source = (0, 3) if expanded else (3,)
    return item(4 if expanded else 2, words(9, *source, len(records)) + b"".join(records))


def interface_counters(index: int, in_octets: int, out_octets: int) -> bytes:
    body = struct.pack("!IIQII", index, 6, 10**10, 1, 3)
    body += struct.pack("!QIIIIII", in_octets, 11, 12, 13, 14, 15, 16)
    return item(1, body + struct.pack("!QIIIIII", out_octets, 21, 22, 23, 24, 25, 1))


def raw_header(packet: bytes, protocol: int = 1, frame: int | None = None, octets=128) -> bytes:
    taken = packet[:octets]
    length = len(packet) + 4 if frame is None else frame
    return item(1, words(protocol, length, 4, len(taken)) + taken + bytes(-len(taken) % 4))


def ethernet(kind: int, inside: bytes, *tags: int) -> bytes:
    stack = b"".join(struct.pack("!HH", tag >> 16 or 0x8100, tag & 0xFFFF) for tag in tags)
    return MACS + stack + struct.pack("!H", kind) + inside


def ipv4(protocol: int, inside: bytes, *, options: bytes = b"", fragment: int = 0) -> bytes:
    octets = 20 + len(options) + len(inside)
    head = struct.pack(
        "!BBHHHBBH", 0x45 + len(options) // 4, 0xB8, octets, 1, fragment, 64, protocol, 0
    )
    return head + bytes([10, 1, 2, 3, 198, 51, 100, 7]) + options + inside


def ipv6(following: int, inside: bytes) -> bytes:
    head = struct.pack("!IHBB", 0x6B812345, len(inside), following, 64)
    addresses = bytes.fromhex("20010db8000000000000000000000001fe800000000000000000000000000002")
    return head + addresses + inside


def tcp(flags: int = 0x12) -> bytes:
    return struct.pack("!HHIIHHHH", 49152, 443, 1, 2, 0x5000 | flags, 512, 0, 0)


def udp() -> bytes:
    return struct.pack("!HHHH", 5353, 53, 8, 0)


def labels(*numbers: int) -> bytes:
    stack = [number << 12 | 64 for number in numbers]
    stack[-1] |= 0x100
    return words(*stack)


def sampled_ipv4(protocol: int = 6) -> bytes:
    return item(3, words(60, protocol, 0x0A000001, 0x0A000002, 1025, 80, 0x18, 0x20))


def sampled_ipv6(protocol: int = 17) -> bytes:
    return item(4, words(80, protocol) + bytes(range(32)) + words(1025, 53, 0, 0x20))


def sampled_ethernet(*, filled: bool = True) -> bytes:
    gap = b"\0\0" if filled else b""
    return item(2, words(64) + MACS[6:] + gap + MACS[:6] + gap + words(0x0806))


def switch(source: int = 100, destination: int = 200) -> bytes:
    return item(1001, words(source, 1, destination, 2))


def router(hop: bytes = AGENT) -> bytes:
    return item(1002, hop + words(24, 16))


def gateway(*segments: list[int], hop: bytes = AGENT) -> bytes:
    path = b"".join(words(2, len(segment), *segment) for segment in segments)
    return item(1003, hop + words(65000, 64500, 64501, len(segments)) + path + words(1, 7, 100))


GRE = ethernet(0x0800, ipv4(47, b"\0\0\x08\0" + ipv4(6, tcp())))
PACKETS = (
    ethernet(0x0800, ipv4(6, tcp())),
    ethernet(0x0800, ipv4(17, udp()), 42),
    ethernet(0x0800, ipv4(1, b"\x08\0abcd"), 0x88A80007, 42),
    ethernet(0x0800, ipv4(6, tcp(0x1C2), options=b"\1\1\1\0"), 0),
    ethernet(0x0800, ipv4(17, b"later data", fragment=0x00B9)),
    GRE,
    ethernet(0x86DD, ipv6(6, tcp())),
    ethernet(0x86DD, ipv6(58, b"\x80\0abcd")),
    ethernet(0x86DD, ipv6(0, b"\x3c\0" + bytes(6) + b"\x11\1" + bytes(14) + udp())),
    ethernet(0x86DD, ipv6(44, b"\x06\0\0\1" + bytes(4) + tcp())),
    ethernet(0x86DD, ipv6(44, b"\x06\0\1\1" + bytes(4) + b"later data")),
    ethernet(0x86DD, ipv6(51, b"\x11\2" + bytes(14) + udp())),
    ethernet(0x0806, b"\0\1\x08\0\6\4\0\1" + bytes(20)),
    ethernet(0x8847, labels(16, 17) + ipv4(132, udp()), 9),
    ethernet(0x8847, labels(16) + ipv6(17, udp())),
    ethernet(0x0026, b"\x42\x42\3" + bytes(35)),
    ethernet(0x0800, b"\x55" + ipv4(6, tcp())[1:]),
    ethernet(0x86DD, b"\x4b" + ipv6(6, tcp())[1:]),
    ethernet(0x86DD, ipv6(60, b"\x06\xff" + bytes(6) + tcp())),
)
PLAIN = (
    (11, ipv4(6, tcp())),
    (12, ipv6(17, udp())),
    (13, labels(3) + ipv4(17, udp())),
    (7, b"ppp"),
)


@st.composite
def headers(draw: st.DrawFn) -> bytes:
    """Draw a raw header record: a packet, cut anywhere."""
    packets = st.sampled_from([(1, packet) for packet in PACKETS] + list(PLAIN))
    protocol, packet = draw(packets)
    octets = draw(st.one_of(st.just(128), st.just(128), st.integers(0, 90)))
    return raw_header(packet, protocol, octets=octets)


def flow_records() -> st.SearchStrategy[bytes]:
    hops = st.sampled_from([AGENT, AGENT6, words(0)])
    segments = st.lists(st.lists(st.integers(0, 2**32 - 1), max_size=3), max_size=3)
    return st.one_of(
        headers(),
        headers(),
        headers(),
        st.sampled_from([1, 6, 17]).map(sampled_ipv4),
        st.sampled_from([6, 17, 58]).map(sampled_ipv6),
        st.booleans().map(lambda filled: sampled_ethernet(filled=filled)),
        st.sampled_from([0, 5, 2**32 - 1]).map(switch),
        hops.map(router),
        st.builds(lambda path, hop: gateway(*path, hop=hop), segments, hops),
        st.binary(max_size=30).map(lambda body: item(1012, body)),
        st.binary(max_size=30).map(lambda body: item(4300 << 12 | 1, body)),
    )


@st.composite
def samples(draw: st.DrawFn) -> bytes:
    what = draw(st.integers(0, 9))
    if what < 2:
        body = st.sampled_from([interface_counters(7, 2**40, 5), item(2, bytes(52)), item(1, b"")])
        return counter_sample(*draw(st.lists(body, max_size=3)), expanded=draw(st.booleans()))
    if what == 2:
        return item(draw(st.sampled_from([0, 5, 4300 << 12 | 1])), draw(st.binary(max_size=40)))
    records = draw(st.lists(flow_records(), max_size=4))
    way = st.sampled_from([(0, 0), (0, 5), (1, 258), (2, 3), (0, 0x3FFFFFFF)])
    inward, outward = draw(way), draw(way)
    if what < 5:
        return expanded_flow_sample(*records, inward=inward, outward=outward)
    ways = [form << 30 | value for form, value in (inward, outward)]
    return flow_sample(*records, inward=ways[0], outward=ways[1])


@st.composite
def datagrams(draw: st.DrawFn) -> bytes:
    agent = draw(st.sampled_from([AGENT, AGENT, AGENT6, words(0)]))
    drawn = draw(st.lists(samples(), max_size=5))
    count = draw(st.sampled_from([len(drawn)] * 8 + [0, 1, 2**32 - 1]))
    tail = draw(st.sampled_from([b"", b"", b"", b"\0\0", b"\1" * 9]))
    return datagram(*drawn, agent=agent, count=count, domain=draw(st.integers(0, 2))) + tail


@st.composite
def sequences(draw: st.DrawFn, most: int = 5) -> list[bytes]:
    """Draw datagrams, half of the time damaged."""
    drawn = draw(st.lists(datagrams(), min_size=1, max_size=most))
    for _ in range(draw(st.sampled_from([0, 0, 1, 2, 4]))):
        at = draw(st.integers(0, len(drawn) - 1))
        drawn[at] = draw(st.sampled_from(MUTATIONS))(draw, drawn[at])
    return drawn
