"""
Layouts of what sFlow samples say, in Information Elements, so that nothing behind the decoder has
to know sFlow.

A flow sample's layout has the fields that it has a value for, and no others: what is absent has
no field. The parts that may be absent are bits of a key, so that there are few layouts however
many samples there are.
"""

from functools import cache
from typing import Final, NamedTuple

import numpy as np

from clarion.wire.constants import SFLOW
from clarion.wire.ethernet import Transport
from clarion.wire.layout import FieldSpecifier, Layout, layout

# Bits of a key: where each part begins.
AGENT6: Final = 0  # 1 bit: the agent's address is IPv6
OCTETS: Final = 1  # 1 bit: the packet's length is known
LINK: Final = 2  # 1 bit: MAC addresses and Ethernet type
VLAN: Final = 3  # 2 bits: 1 from the packet's tag, 2 with the egress VLAN of an extended switch
FAMILY: Final = 5  # 3 bits: 0, 4 or 6
TRANSPORT: Final = 8  # 2 bits: a `Transport`
ROUTE: Final = 10  # 2 bits: 1 prefix lengths, 2 and an IPv4 next hop, 3 and an IPv6 one
GATEWAY: Final = 12  # 1 bit: AS numbers


class Part(NamedTuple):
    """A column of the samples, its type in a record, and the fields (element, octets) it fills."""

    column: str
    type: str
    fields: tuple[tuple[int, int], ...]


class Shape(NamedTuple):
    """A key's layout; `columns` fill the fields f0, f1, ... of `dtype`, which is packed."""

    layout: Layout
    dtype: np.dtype[np.void]
    columns: tuple[str, ...]


_EVERY: Final = (
    Part("time", ">i8", ((152, 8),)),
    Part("time", ">i8", ((153, 8),)),
    Part("input", ">u4", ((10, 4),)),
    Part("output", ">u4", ((14, 4),)),
    Part("status", "u1", ((89, 1),)),
    Part("rate", ">u4", ((34, 4),)),
    Part("packets", "u1", ((2, 1),)),
)
_AGENT: Final = (Part("agent4", "V4", ((130, 4),)), Part("agent6", "V16", ((131, 16),)))
_LINK: Final = (Part("macs", "V12", ((80, 6), (56, 6))), Part("ethertype", ">u2", ((256, 2),)))
_INGRESS: Final = Part("vlan", ">u4", ((58, 4),))
_VLAN: Final = ((), (_INGRESS,), (_INGRESS, Part("post_vlan", ">u4", ((59, 4),))))
_IP: Final = (Part("protocol", "u1", ((4, 1),)), Part("tos", "u1", ((5, 1),)))
_FAMILY: Final[dict[int, tuple[Part, ...]]] = {
    0: (),
    4: (Part("addresses4", "V8", ((8, 4), (12, 4))), *_IP),
    6: (Part("addresses6", "V32", ((27, 16), (28, 16))), *_IP),
}
_PORTS: Final = Part("ports", ">u4", ((7, 2), (11, 2)))
_TRANSPORT: Final[dict[int, tuple[Part, ...]]] = {
    Transport.NONE: (),
    Transport.PORTS: (_PORTS,),
    Transport.TCP: (_PORTS, Part("flags", ">u2", ((6, 2),))),
}
_ICMP: Final = {4: 32, 6: 139}
_GATEWAY: Final = (Part("source_as", ">u4", ((16, 4),)), Part("destination_as", ">u4", ((17, 4),)))
_HOP: Final = (
    (),
    (Part("next_hop4", "V4", ((15, 4),)),),
    (Part("next_hop6", "V16", ((62, 16),)),),
)


@cache
def shape(key: int) -> Shape:
    """Return the layout of a key: of under 1,000 that can be, a network has about ten."""
    family = key >> FAMILY & 7
    transport = key >> TRANSPORT & 3
    route = key >> ROUTE & 3
    parts = [_AGENT[key >> AGENT6 & 1], *_EVERY]
    if key >> OCTETS & 1:
        parts.append(Part("octets", ">u4", ((1, 4),)))
    if key >> LINK & 1:
        parts += _LINK
    parts += _VLAN[key >> VLAN & 3]
    parts += _FAMILY[family]
    if transport == Transport.ICMP:  # never without a family
        parts.append(Part("icmp", ">u2", ((_ICMP[family], 2),)))
    else:
        parts += _TRANSPORT[transport]
    if route:
        source, destination = (29, 30) if family == 6 else (9, 13)
        parts += _HOP[route - 1]
        parts.append(Part("source_mask", ">u4", ((source, 4),)))
        parts.append(Part("destination_mask", ">u4", ((destination, 4),)))
    if key >> GATEWAY & 1:
        parts += _GATEWAY
    fields = [FieldSpecifier(0, *field) for part in parts for field in part.fields]
    dtype = np.dtype([(f"f{number}", part.type) for number, part in enumerate(parts)])
    return Shape(layout(SFLOW, fields), dtype, tuple(part.column for part in parts))


# Generic interface counters ("if_counters", enterprise 0, format 1), as they are on the wire,
# the interface their scope. What has no element (speed, direction, status, packets by kind of
# address, errors) stays opaque: 210 is paddingOctets.
COUNTERS_LAYOUT: Final = layout(
    SFLOW,
    [
        FieldSpecifier(0, element, length)
        for element, length in (
            (10, 4),  # ifIndex
            (368, 4),  # ifType: ingressInterfaceType
            (210, 16),  # ifSpeed, ifDirection, ifStatus
            (85, 8),  # ifInOctets: octetTotalCount
            (210, 12),  # ifIn: UcastPkts, MulticastPkts, BroadcastPkts
            (135, 4),  # ifInDiscards: droppedPacketTotalCount
            (210, 8),  # ifInErrors, ifInUnknownProtos
            (171, 8),  # ifOutOctets: postOctetTotalCount
            (210, 4),  # ifOutUcastPkts
            (174, 4),  # ifOutMulticastPkts: postMCastPacketTotalCount
            (210, 16),  # ifOut: BroadcastPkts, Discards, Errors; ifPromiscuousMode
        )
    ],
    scope_count=1,
    options=True,
)
