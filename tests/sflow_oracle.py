"""
A slow, plain decoder of sFlow version 5: what `clarion.wire` is compared with.

Written from sFlow version 5 and the packet formats with `struct`, one field at a time; it imports
nothing of the package. A record is a dictionary of Information Elements and integers (addresses
too). Every octet of a datagram is counted in exactly one bucket.
"""

import struct
from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple

MOST = 1024  # samples of a datagram, records of a sample, that are looked at
SEGMENTS = 32


class Record(NamedTuple):
    set_number: int
    set_id: int
    options: bool
    fields: dict[int, int]


@dataclass
class Result:
    header: dict[str, int] | None = None
    records: list[Record] = field(default_factory=list)
    octets: Counter[str] = field(default_factory=Counter)
    sets: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)


class CutShortError(Exception):
    pass


class Xdr:
    """A cursor over octets; reading past the end raises `CutShortError`."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def take(self, octets: int) -> bytes:
        if self.at + octets > len(self.data):
            raise CutShortError
        self.at += octets
        return self.data[self.at - octets : self.at]

    def word(self) -> int:
        return struct.unpack("!I", self.take(4))[0]

    def address(self) -> bytes:
        kind = self.word()
        if kind > 2:
            raise ValueError(kind)
        return self.take((0, 4, 16)[kind])

    @property
    def left(self) -> int:
        return len(self.data) - self.at


def decode(data: bytes, sender: bytes, receive_ms: int) -> Result:
    out = Result()
    xdr = Xdr(data)
    try:
        version = xdr.word() if len(data) >= 4 else 0
        if version != 5:
            out.faults.append("BAD_VERSION")
            out.octets["malformed"] += len(data)
            return out
        agent = xdr.address()
        domain, sequence, uptime, count = (xdr.word() for _ in range(4))
    except (CutShortError, ValueError) as error:
        out.faults.append("SHORT_HEADER" if isinstance(error, CutShortError) else "BAD_AGENT")
        out.octets["malformed"] += len(data)
        return out
    if not agent:
        agent = sender[12:] if sender[:12] == bytes(10) + b"\xff\xff" else sender
    out.header = {"domain": domain, "sequence": sequence, "uptime": uptime, "count": count}
    out.octets["header"] += xdr.at
    for number in range(count):
        if xdr.left < 8:
            out.faults.append("COUNT_MISMATCH")
            break
        kind, length = struct.unpack_from("!II", data, xdr.at)
        if number >= MOST or length > xdr.left - 8:
            out.faults.append("TOO_MANY_SETS" if number >= MOST else "SET_OVERRUN")
            out.sets["rejected"] += 1
            out.octets["malformed"] += xdr.left
            return out
        out.octets["set_header"] += 8
        xdr.take(8)
        body = xdr.take(min(-(-length // 4) * 4, xdr.left))
        if kind not in (1, 2, 3, 4):
            out.faults.append("RESERVED_SET")
            out.sets["reserved"] += 1
            out.octets["reserved"] += len(body)
            continue
        out.sets["data"] += 1
        made = counters(body, kind, out) if kind in (2, 4) else flow(body, kind, agent, out)
        if made is not None:
            options = kind in (2, 4)
            if not options:
                made |= {152: receive_ms, 153: receive_ms}
            out.records.append(Record(number, kind, options, made))
    out.octets["trailing"] += xdr.left
    return out


def records(xdr: Xdr, count: int, out: Result) -> list[tuple[int, bytes]]:
    """Read the records of a sample; count what is left of it."""
    found = []
    for number in range(count):
        if xdr.left < 8:
            out.faults.append("RECORD_OVERRUN")
            break
        kind, length = struct.unpack_from("!II", xdr.data, xdr.at)
        if number >= MOST or length > xdr.left - 8:
            out.faults.append("RECORD_OVERRUN")
            out.octets["malformed"] += xdr.left
            return found
        xdr.take(8)
        found.append((kind, xdr.take(min(-(-length // 4) * 4, xdr.left))))
    out.octets["padding"] += xdr.left
    return found


def counters(body: bytes, kind: int, out: Result) -> dict[int, int] | None:
    out.sets["counter"] += 1
    head = 12 if kind == 2 else 16
    if len(body) < head:
        out.faults.append("RECORD_OVERRUN")
        out.octets["malformed"] += len(body)
        return None
    xdr = Xdr(body)
    *_, count = (xdr.word() for _ in range(head // 4))
    out.octets["record"] += head
    made, bad = None, False
    for one, data in records(xdr, count, out):
        if one != 1:
            out.octets["reserved"] += 8 + len(data)
        elif len(data) < 88:
            bad = True
            out.octets["malformed"] += 8 + len(data)
        else:
            out.octets["record"] += 8 + len(data)
            names = "index type speed direction status in_octets in_unicast in_multicast"
            names += " in_broadcast in_discards in_errors in_unknown out_octets out_unicast"
            names += " out_multicast out_broadcast out_discards out_errors promiscuous"
            values = struct.unpack_from("!IIQIIQIIIIIIQIIIIII", data)
            row = dict(zip(names.split(), values, strict=True))
            made = made or {
                10: row["index"], 368: row["type"], 85: row["in_octets"], 171: row["out_octets"],
                135: row["in_discards"], 174: row["out_multicast"],
            }  # fmt: skip
    if bad:
        out.faults.append("RECORD_OVERRUN")
    return made


def flow(body: bytes, kind: int, agent: bytes, out: Result) -> dict[int, int] | None:
    head = 32 if kind == 1 else 44
    if len(body) < head:
        out.faults.append("RECORD_OVERRUN")
        out.octets["malformed"] += len(body)
        return None
    out.octets["record"] += head
    xdr = Xdr(body)
    words = [xdr.word() for _ in range(head // 4)]
    if kind == 1:
        rate, inward, outward, count = words[2], words[5], words[6], words[7]
        ways = [(one >> 30, one % (1 << 30)) for one in (inward, outward)]
    else:
        rate, count = words[3], words[10]
        ways = [(words[6], words[7]), (words[8], words[9])]
    fields = {130 if len(agent) == 4 else 131: number(agent), 34: rate, 2: 1}
    fields[10], fields[14] = (value if way == 0 else 0 for way, value in ways)
    way, value = ways[1]
    fields[89] = 128 if way == 1 else 64 if way == 2 or (way == 0 and value) else 0
    first: dict[int, dict[int, int]] = {}
    bad = set()
    for one, data in records(xdr, count, out):
        if one not in READERS:
            out.octets["reserved"] += 8 + len(data)
            continue
        try:
            said = READERS[one](Xdr(data))
        except (CutShortError, ValueError):
            bad.add(one)
            out.octets["malformed"] += 8 + len(data)
            continue
        out.octets["record"] += 8 + len(data)
        first.setdefault(one, said)
    out.faults += ["RECORD_OVERRUN"] * len(bad)
    return merge(fields, first)


def merge(fields: dict[int, int], first: dict[int, dict[int, int]]) -> dict[int, int]:
    """Put the records of one sample together: the raw header before the agent's own account."""
    header = first.get(1, {})
    for one in (1, 2, 3, 4):
        if one in first:
            fields.setdefault(1, first[one][1])
    fields |= header
    if 80 not in header and 2 in first:
        fields |= {element: first[2][element] for element in (56, 80, 256)}
    addresses = header
    for one in (3, 4):
        if 4 not in addresses and one in first:
            addresses = first[one]
            fields |= {element: value for element, value in addresses.items() if element != 1}
    if 1001 in first:
        fields |= {58: header.get(58, first[1001][58]), 59: first[1001][59]}
    if 1002 in first:
        route = dict(first[1002])
        if 27 in addresses:
            route[29], route[30] = route.pop(9), route.pop(13)
        fields |= route
    return fields | first.get(1003, {})


def number(octets: bytes) -> int:
    return int.from_bytes(octets, "big")


def raw_header(xdr: Xdr) -> dict[int, int]:
    protocol, frame, _, length = (xdr.word() for _ in range(4))
    packet = xdr.data[16 : 16 + length]
    return {1: frame} | sampled(packet, protocol)


def sampled(packet: bytes, protocol: int) -> dict[int, int]:
    said: dict[int, int] = {}
    kind = {11: 0x0800, 12: 0x86DD, 13: 0x8847}.get(protocol, 0)
    if protocol == 1 and len(packet) >= 14:
        said[80], said[56] = number(packet[:6]), number(packet[6:12])
        at, kind = 12, number(packet[12:14])
        for _ in range(8):
            if kind not in (0x8100, 0x88A8, 0x9100) or len(packet) < at + 6:
                break
            vlan = number(packet[at + 2 : at + 4]) % 4096
            if vlan:
                said.setdefault(58, vlan)
            kind = number(packet[at + 4 : at + 6])
            at += 4
        said[256] = kind
        packet = packet[at + 2 :]
    if kind in (0x8847, 0x8848):
        kind = 0
        for _ in range(8):
            if len(packet) < 5:
                break
            last, packet = packet[2] % 2, packet[4:]
            if last:
                kind = {4: 0x0800, 6: 0x86DD}.get(packet[0] >> 4, 0)
                break
    if kind == 0x0800:
        said |= ipv4(packet)
    elif kind == 0x86DD:
        said |= ipv6(packet)
    return said


def ipv4(packet: bytes) -> dict[int, int]:
    if len(packet) < 20 or packet[0] >> 4 != 4 or packet[0] % 16 < 5:
        return {}
    said = {8: number(packet[12:16]), 12: number(packet[16:20]), 4: packet[9], 5: packet[1]}
    if number(packet[6:8]) % 0x2000:
        return said
    return said | transport(packet[9], packet[packet[0] % 16 * 4 :], 4)


def ipv6(packet: bytes) -> dict[int, int]:
    if len(packet) < 40 or packet[0] >> 4 != 6:
        return {}
    said = {27: number(packet[8:24]), 28: number(packet[24:40])}
    said[5] = number(packet[:4]) >> 20 & 255
    following, rest, later = packet[6], packet[40:], False
    for _ in range(8):
        if following not in (0, 43, 44, 51, 60, 135) or len(rest) < 8:
            break
        size = 8 * rest[1] + 8
        if following == 44:
            size, later = 8, number(rest[2:4]) >> 3 > 0
        elif following == 51:
            size = 4 * rest[1] + 8
        following, rest = rest[0], rest[size:]
        if later:
            break
    said[4] = following
    return said if later else said | transport(following, rest, 6)


def transport(protocol: int, segment: bytes, family: int) -> dict[int, int]:
    said: dict[int, int] = {}
    if protocol in (6, 17, 33, 132, 136) and len(segment) >= 4:
        said[7], said[11] = struct.unpack_from("!HH", segment)
        if protocol == 6 and len(segment) >= 14:
            said[6] = number(segment[12:14]) & 0xFFF
    if (family, protocol) in ((4, 1), (6, 58)) and len(segment) >= 2:
        said[32 if family == 4 else 139] = number(segment[:2])
    return said


def ethernet(xdr: Xdr) -> dict[int, int]:
    filled = xdr.left >= 24
    said = {1: xdr.word()}
    for element in (56, 80):
        said[element] = number(xdr.take(8 if filled else 6)[:6])
    return said | {256: xdr.word() & 0xFFFF}


def told_ip(xdr: Xdr, family: int) -> dict[int, int]:
    said = {1: xdr.word(), 4: xdr.word() & 0xFF}
    size, elements = (4, (8, 12)) if family == 4 else (16, (27, 28))
    for element in elements:
        said[element] = number(xdr.take(size))
    source, destination, flags, tos = (xdr.word() for _ in range(4))
    said[5] = tos & 0xFF
    if said[4] in (6, 17, 33, 132, 136):
        said |= {7: source & 0xFFFF, 11: destination & 0xFFFF}
    if said[4] == 6:
        said[6] = flags & 0xFFF
    return said


def switch(xdr: Xdr) -> dict[int, int]:
    source, _, destination, _ = (xdr.word() for _ in range(4))
    return {58: source, 59: destination}


def router(xdr: Xdr) -> dict[int, int]:
    hop = xdr.address()
    said = {9: xdr.word(), 13: xdr.word()}
    if hop:
        said[15 if len(hop) == 4 else 62] = number(hop)
    return said


def gateway(xdr: Xdr) -> dict[int, int]:
    xdr.address()
    _, source, _, segments = (xdr.word() for _ in range(4))
    if segments > SEGMENTS:
        raise ValueError(segments)
    last = 0
    for _ in range(segments):
        xdr.word()
        for _ in range(xdr.word()):
            last = xdr.word()
    return {16: source, 17: last}


READERS = {
    1: raw_header,
    2: ethernet,
    3: lambda xdr: told_ip(xdr, 4),
    4: lambda xdr: told_ip(xdr, 6),
    1001: switch,
    1002: router,
    1003: gateway,
}
