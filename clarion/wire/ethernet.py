"""
Sampled packet headers: the first octets of many packets to addresses, ports and flags at once.

Every field is read at its own place in each packet; a packet cut short keeps what its octets
still say. Nothing is read behind a header's end.

Sources: IEEE 802.3, 802.1Q 9.6 (tags); RFC 791 3.1; RFC 8200 3, 4; RFC 3032 2.1 (label stacks);
RFC 9293 3.1, RFC 768, RFC 792, RFC 4443 2.1.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from clarion.wire.octets import Int64s, OctetReader

Bools = NDArray[np.bool_]


class HeaderProtocol(IntEnum):
    """What a sampled header begins with (sFlow version 5, "header_protocol"); the ones we read."""

    ETHERNET = 1
    IPV4 = 11
    IPV6 = 12
    MPLS = 13


class Transport(IntEnum):
    """What is known of the transport header."""

    NONE = 0
    PORTS = 1
    TCP = 2  # ports and flags
    ICMP = 3


_IPV4: Final = 0x0800
_IPV6: Final = 0x86DD
_MPLS: Final = 0x8847
_LABELLED: Final = np.zeros(1 << 16, np.bool_)
_LABELLED[[_MPLS, 0x8848]] = True
_TAG: Final = np.zeros(1 << 16, np.bool_)
_TAG[[0x8100, 0x88A8, 0x9100]] = True
_ETHERNET_HEADER: Final = 14
# Tags, labels and extension headers read of one packet: more than any network has.
_MOST: Final = 8
_FRAGMENT: Final = 44
_AUTHENTICATION: Final = 51
_EXTENSION: Final = np.zeros(256, np.bool_)
_EXTENSION[[0, 43, _FRAGMENT, _AUTHENTICATION, 60, 135]] = True
# By IP protocol; 1 is ICMP in IPv4 only, 58 in IPv6 only.
_TRANSPORT: Final = np.zeros(256, np.int64)
_TRANSPORT[6] = Transport.TCP
_TRANSPORT[[17, 33, 132, 136]] = Transport.PORTS
_TRANSPORT[[1, 58]] = Transport.ICMP
_ICMP_OF: Final = {4: 1, 6: 58}


@dataclass(slots=True)
class Packets:
    """
    R packets as (R,) arrays; fields that are next to each other on the wire stay together.

    Attributes:
        family: int64, 4 or 6, 0 for what is not IP.
        transport: int64, a `Transport`.
        link: bool, whether there are MAC addresses.
        tagged: bool, whether there is a VLAN.
        macs: V12, destination and source.
        ethertype: int64, behind the tags.
        vlan: int64, of the outermost tag that names one: VLAN 0 is a priority without a VLAN.
        addresses4: V8, source and destination.
        addresses6: V32, source and destination.
        protocol: int64, the last header of IPv6.
        tos: int64, the traffic class of IPv6.
        ports: int64, source in the upper and destination in the lower 16 bits.
        flags: int64, the lower 12 bits of the TCP header's control octets (IE 6).
        icmp: int64, type in the upper and code in the lower 8 bits.

    """

    family: Int64s
    transport: Int64s
    link: Bools
    tagged: Bools
    macs: NDArray[np.void]
    ethertype: Int64s
    vlan: Int64s
    addresses4: NDArray[np.void]
    addresses6: NDArray[np.void]
    protocol: Int64s
    tos: Int64s
    ports: Int64s
    flags: Int64s
    icmp: Int64s

    @classmethod
    def unknown(cls, n: int) -> "Packets":
        """Return n packets of which nothing is known."""

        def zero() -> Int64s:
            return np.zeros(n, np.int64)

        return cls(
            family=zero(),
            transport=zero(),
            link=np.zeros(n, np.bool_),
            tagged=np.zeros(n, np.bool_),
            macs=np.zeros(n, "V12"),
            ethertype=zero(),
            vlan=zero(),
            addresses4=np.zeros(n, "V8"),
            addresses6=np.zeros(n, "V32"),
            protocol=zero(),
            tos=zero(),
            ports=zero(),
            flags=zero(),
            icmp=zero(),
        )


def read_packets(
    packets: Packets, rows: Int64s, reader: OctetReader, at: Int64s, end: Int64s, protocol: Int64s
) -> None:
    """
    Read sampled headers into some rows of `packets`.

    Args:
        packets: what is known goes here.
        rows: (n,) int64, the row of each header, no row twice.
        reader: reads the buffer.
        at: (n,) int64, where each header begins in the buffer.
        end: (n,) int64, the octet behind each.
        protocol: (n,) int64, `HeaderProtocol`; others are left unknown.

    """
    inner = _HeaderParse(packets, rows, reader, end)
    here, carried = at.copy(), np.zeros(len(at), np.int64)
    carried[protocol == HeaderProtocol.IPV4] = _IPV4
    carried[protocol == HeaderProtocol.IPV6] = _IPV6
    carried[protocol == HeaderProtocol.MPLS] = _MPLS
    ethernet = np.flatnonzero(
        (protocol == HeaderProtocol.ETHERNET) & (end - at >= _ETHERNET_HEADER)
    )
    if len(ethernet):
        inner.ethernet(ethernet, here, carried)
    labelled = np.flatnonzero(_LABELLED[carried])
    if len(labelled):
        inner.labels(labelled, here, carried)
    for carries, read in ((_IPV4, inner.ipv4), (_IPV6, inner.ipv6)):
        one = np.flatnonzero(carried == carries)
        if len(one):
            read(one, here[one])


def transport_of(protocol: Int64s) -> Int64s:
    """Return the `Transport` of IP protocols 0 to 255, ICMP for either family's."""
    return _TRANSPORT[protocol]


class _HeaderParse:
    """One batch of headers; `which` indexes the headers, `rows[which]` the packets."""

    def __init__(self, packets: Packets, rows: Int64s, reader: OctetReader, end: Int64s) -> None:
        self._packets = packets
        self._rows = rows
        self._reader = reader
        self._end = end

    def ethernet(self, which: Int64s, here: Int64s, carried: Int64s) -> None:
        """Read MAC addresses and tags; `here` and `carried` become those of what is inside."""
        packets, rows, reader = self._packets, self._rows[which], self._reader
        at, end = here[which], self._end[which]
        packets.link[rows] = True
        packets.macs[rows] = reader.blocks(at, 12).view("V12")[:, 0]
        at = at + 12
        kind = reader.u16(at)
        vlan = np.zeros(len(which), np.int64)
        for _ in range(_MOST):
            tag = np.flatnonzero(_TAG[kind] & (end - at >= 6))
            if not len(tag):
                break
            place = at[tag]
            number = reader.u16(place + 2) & 0xFFF
            vlan[tag] = np.where(vlan[tag] > 0, vlan[tag], number)
            kind[tag] = reader.u16(place + 4)
            at[tag] = place + 4
        packets.ethertype[rows] = kind
        packets.vlan[rows] = vlan
        packets.tagged[rows] = vlan > 0
        here[which], carried[which] = at + 2, kind

    def labels(self, which: Int64s, here: Int64s, carried: Int64s) -> None:
        """Go behind label stacks; what follows says by its first four bits whether it is IP."""
        carried[which] = 0
        for _ in range(_MOST):
            which = which[self._end[which] - here[which] >= 5]
            if not len(which):
                break
            at = here[which]
            last = self._reader.u8(at + 2) & 1 > 0
            here[which] = at + 4
            bottom = which[last]
            version = self._reader.u8(here[bottom]) >> 4
            carried[bottom] = np.where(version == 4, _IPV4, np.where(version == 6, _IPV6, 0))
            which = which[~last]

    def ipv4(self, which: Int64s, at: Int64s) -> None:
        reader = self._reader
        first = reader.u8(at)
        good = (self._end[which] - at >= 20) & (first >= 0x45) & (first < 0x50)
        if not good.all():
            which, at, first = which[good], at[good], first[good]
        packets, rows = self._packets, self._rows[which]
        packets.family[rows] = 4
        packets.tos[rows] = reader.u8(at + 1)
        packets.protocol[rows] = protocol = reader.u8(at + 9)
        packets.addresses4[rows] = reader.blocks(at + 12, 8).view("V8")[:, 0]
        whole = reader.u16(at + 6) & 0x1FFF == 0
        self._transport(which, at + 4 * (first & 15), protocol, whole, family=4)

    def ipv6(self, which: Int64s, at: Int64s) -> None:
        reader = self._reader
        good = (self._end[which] - at >= 40) & (reader.u8(at) >> 4 == 6)
        if not good.all():
            which, at = which[good], at[good]
        packets, rows, end = self._packets, self._rows[which], self._end[which]
        packets.family[rows] = 6
        packets.tos[rows] = reader.u16(at) >> 4 & 0xFF
        packets.addresses6[rows] = reader.blocks(at + 8, 32).view("V32")[:, 0]
        following = reader.u8(at + 6)
        at = at + 40
        whole = np.ones(len(which), np.bool_)
        for _ in range(_MOST):
            more = np.flatnonzero(_EXTENSION[following] & whole & (end - at >= 8))
            if not len(more):
                break
            place, kind = at[more], following[more]
            octets = reader.u8(place + 1)
            size = np.where(kind == _AUTHENTICATION, 4 * octets + 8, 8 * octets + 8)
            fragment = kind == _FRAGMENT
            whole[more] = ~fragment | (reader.u16(place + 2) < 8)
            at[more] = place + np.where(fragment, 8, size)
            following[more] = reader.u8(place)
        packets.protocol[rows] = following
        self._transport(which, at, following, whole, family=6)

    def _transport(
        self, which: Int64s, at: Int64s, protocol: Int64s, whole: Bools, *, family: int
    ) -> None:
        """Read ports, flags or ICMP type and code of packets that are no later fragments."""
        reader, packets = self._reader, self._packets
        room = self._end[which] - at
        kind = np.where(whole, _TRANSPORT[protocol], Transport.NONE)
        kind[(kind == Transport.TCP) & (room < 14)] = Transport.PORTS
        ported = (kind == Transport.PORTS) | (kind == Transport.TCP)
        icmp = (kind == Transport.ICMP) & (protocol == _ICMP_OF[family]) & (room >= 2)
        ported &= room >= 4
        rows = self._rows[which]
        packets.transport[rows] = np.where(ported | icmp, kind, Transport.NONE)
        packets.ports[rows[ported]] = reader.u32(at[ported])
        tcp = kind == Transport.TCP
        packets.flags[rows[tcp]] = reader.u16(at[tcp] + 12) & 0xFFF
        if icmp.any():
            packets.icmp[rows[icmp]] = reader.u16(at[icmp])
