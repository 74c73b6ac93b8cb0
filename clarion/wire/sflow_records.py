"""
The flow records of sFlow samples as columns, one row a sample.

Of two records of one format the first in the sample counts; what the packet itself says (the raw
header) goes before what the agent says of it.

Source: sFlow version 5, "Flow Data Types" and "Extended Flow Data".
"""

from typing import Final, NamedTuple

import numpy as np

from clarion.wire.ethernet import Bools, Packets, Transport, read_packets, transport_of
from clarion.wire.octets import Int64s, OctetReader

# Formats of flow records, enterprise 0.
HEADER: Final = 1
ETHERNET: Final = 2
IPV4: Final = 3
IPV6: Final = 4
SWITCH: Final = 1001
ROUTER: Final = 1002
GATEWAY: Final = 1003
# The least octets of each. Sampled Ethernet: XDR fills a MAC address up to eight octets, and
# there are agents that do not.
LEAST: Final = {HEADER: 16, ETHERNET: 20, IPV4: 32, IPV6: 56, SWITCH: 16, ROUTER: 12, GATEWAY: 20}
FORMATS: Final = tuple(LEAST)
_FILLED_ETHERNET: Final = 24
# Octets of an address by its type: none, IPv4, IPv6.
_ADDRESS_OCTETS: Final = np.array([0, 4, 16])
# Segments of an AS path: real ones have one or two.
_MOST_SEGMENTS: Final = 32


class Bodies(NamedTuple):
    """Record bodies of one format: sample row (no row twice), place in the buffer, octets."""

    row: Int64s
    at: Int64s
    length: Int64s


class SampleColumns:
    """
    What T samples say, as (T,) arrays.

    Attributes:
        packets: fields of the packets.
        octets: int64, length of the packet; `sized` says where it is known.
        vlan, post_vlan: int64, ingress and egress VLAN; vlan_kind: int64, 1 where the first is
            known, 2 where both are.
        next_hop4, next_hop6: V4, V16; source_mask, destination_mask: int64, prefix lengths;
            route_kind: int64, 1 where those are known, 2 with an IPv4 next hop, 3 with an IPv6
            one.
        source_as, destination_as: int64; gateway: bool, where they are known.

    """

    def __init__(self, n: int, reader: OctetReader) -> None:
        self._reader = reader
        self.packets = Packets.unknown(n)
        self.octets = np.zeros(n, np.int64)
        self.sized = np.zeros(n, np.bool_)
        self.vlan = self.packets.vlan
        self.post_vlan = np.zeros(n, np.int64)
        self.vlan_kind = np.zeros(n, np.int64)
        self.next_hop4 = np.zeros(n, "V4")
        self.next_hop6 = np.zeros(n, "V16")
        self.source_mask = np.zeros(n, np.int64)
        self.destination_mask = np.zeros(n, np.int64)
        self.route_kind = np.zeros(n, np.int64)
        self.source_as = np.zeros(n, np.int64)
        self.destination_as = np.zeros(n, np.int64)
        self.gateway = np.zeros(n, np.bool_)

    def read(self, kind: int, bodies: Bodies) -> None:
        """Read bodies of one format that are `whole`; formats come in ascending order."""
        readers = {
            HEADER: self._header,
            ETHERNET: self._ethernet,
            IPV4: self._ipv4,
            IPV6: self._ipv6,
            SWITCH: self._switch,
            ROUTER: self._router,
            GATEWAY: self._gateway,
        }
        readers[kind](bodies)

    def _header(self, bodies: Bodies) -> None:
        reader, (row, at, length) = self._reader, bodies
        self._size(bodies, 4)
        octets = np.minimum(reader.u32(at + 12), length - 16)
        read_packets(self.packets, row, reader, at + 16, at + 16 + octets, reader.u32(at))
        self.vlan_kind[row] = self.packets.tagged[row]

    def _ethernet(self, bodies: Bodies) -> None:
        self._size(bodies, 0)
        reader, packets = self._reader, self.packets
        row, at, length = _some(bodies, ~packets.link[bodies.row])
        octets = np.where(length >= _FILLED_ETHERNET, 8, 6)
        both = [reader.blocks(at + 4 + octets, 6), reader.blocks(at + 4, 6)]
        packets.link[row] = True
        packets.macs[row] = np.concatenate(both, axis=1).view("V12")[:, 0]
        packets.ethertype[row] = reader.u32(at + 4 + 2 * octets) & 0xFFFF

    def _ipv4(self, bodies: Bodies) -> None:
        self._size(bodies, 0)
        row, at, _ = bodies = _some(bodies, self.packets.family[bodies.row] == 0)
        self.packets.addresses4[row] = self._reader.blocks(at + 8, 8).view("V8")[:, 0]
        self._ip(bodies, 4, at + 16)

    def _ipv6(self, bodies: Bodies) -> None:
        self._size(bodies, 0)
        row, at, _ = bodies = _some(bodies, self.packets.family[bodies.row] == 0)
        self.packets.addresses6[row] = self._reader.blocks(at + 8, 32).view("V32")[:, 0]
        self._ip(bodies, 6, at + 40)

    def _ip(self, bodies: Bodies, family: int, behind: Int64s) -> None:
        """Read protocol, ports, flags and type of service; `behind` is after the addresses."""
        reader, packets, (row, at, _) = self._reader, self.packets, bodies
        protocol = reader.u32(at + 4) & 0xFF
        kind = transport_of(protocol)
        packets.family[row] = family
        packets.protocol[row] = protocol
        # What "ports or equivalent" of ICMP are is not said.
        packets.transport[row] = np.where(kind == Transport.ICMP, Transport.NONE, kind)
        ports = (reader.u32(behind) & 0xFFFF) << 16 | reader.u32(behind + 4) & 0xFFFF
        packets.ports[row] = ports
        packets.flags[row] = reader.u32(behind + 8) & 0xFFF
        packets.tos[row] = reader.u32(behind + 12) & 0xFF

    def _switch(self, bodies: Bodies) -> None:
        reader, (row, at, _) = self._reader, bodies
        tagged = self.packets.tagged[row]
        self.vlan[row] = np.where(tagged, self.vlan[row], reader.u32(at))
        self.post_vlan[row] = reader.u32(at + 8)
        self.vlan_kind[row] = 2

    def _router(self, bodies: Bodies) -> None:
        reader, (row, at, _) = self._reader, bodies
        kind = reader.u32(at)
        v4, v6 = kind == 1, kind == 2
        self.next_hop4[row[v4]] = reader.blocks(at[v4] + 4, 4).view("V4")[:, 0]
        self.next_hop6[row[v6]] = reader.blocks(at[v6] + 4, 16).view("V16")[:, 0]
        masks = at + 4 + _ADDRESS_OCTETS[kind]
        self.source_mask[row] = reader.u32(masks)
        self.destination_mask[row] = reader.u32(masks + 4)
        self.route_kind[row] = 1 + kind

    def _gateway(self, bodies: Bodies) -> None:
        reader, (row, at, length) = self._reader, bodies
        _, last = _walk_paths(reader, at, length)
        self.source_as[row] = reader.u32(at + 8 + _ADDRESS_OCTETS[reader.u32(at)])
        self.destination_as[row] = last
        self.gateway[row] = True

    def _size(self, bodies: Bodies, offset: int) -> None:
        row, at, _ = _some(bodies, ~self.sized[bodies.row])
        self.octets[row] = self._reader.u32(at + offset)
        self.sized[row] = True


def whole(kind: int, reader: OctetReader, at: Int64s, length: Int64s) -> Bools:
    """Say which bodies of a format have all that they promise; others are malformed."""
    good: Bools = length >= LEAST[kind]
    if kind in (ROUTER, GATEWAY):
        address = np.where(good, reader.u32(at), 0)
        good &= address < len(_ADDRESS_OCTETS)
        octets = _ADDRESS_OCTETS[np.where(good, address, 0)]
        good &= length >= LEAST[kind] + octets
    if kind == GATEWAY:
        which = np.flatnonzero(good)
        good[which], _ = _walk_paths(reader, at[which], length[which])
    return good


def _walk_paths(reader: OctetReader, at: Int64s, length: Int64s) -> tuple[Bools, Int64s]:
    """
    Walk the AS paths of n gateway records; all have the octets before the path.

    Returns (n,) whether the path ends inside its record, and its last AS, 0 for an empty path:
    the packet's destination is in the agent's own.
    """
    end = at + length
    place = at + 16 + _ADDRESS_OCTETS[reader.u32(at)]
    segments = reader.u32(place)
    place = place + 4
    good: Bools = segments <= _MOST_SEGMENTS
    last = np.zeros(len(at), np.int64)
    which = np.flatnonzero(good & (segments > 0))
    number = 0
    while len(which):
        here, room = place[which], end[which] - place[which] - 8
        # A segment cut short has no length to read, or one that does not fit.
        count = np.where(room >= 0, reader.u32(here + 4), 0)
        fits = 4 * count <= room
        good[which[~fits]] = False
        which, here, count = which[fits], here[fits], count[fits]
        newest = reader.u32(here + 4 + 4 * count)
        last[which] = np.where(count > 0, newest, last[which])
        place[which] = here + 8 + 4 * count
        number += 1
        which = which[segments[which] > number]
    return good, last


def _some(bodies: Bodies, chosen: Bools) -> Bodies:
    if chosen.all():
        return bodies
    return Bodies(*(column[chosen] for column in bodies))
