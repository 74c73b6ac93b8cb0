"""
What the synthetic exporters' records look like: the templates, by protocol and address family.

Rule: a `Kind` names the traffic column of each field; the elements are the ones real routers send.
Byte and packet counts have four octets (RFC 7011 6.2, reduced-size encoding), which the traffic
respects.
"""

from dataclasses import dataclass
from typing import Final

from clarion.wire.constants import IPFIX, V5, V9
from clarion.wire.layout import V5_LAYOUT, FieldSpecifier, Layout, layout

# column, element, octets
_Field = tuple[str, int, int]

_IPV4: Final[tuple[_Field, ...]] = (
    ("src_ip", 8, 4), ("dst_ip", 12, 4), ("next_hop", 15, 4), ("src_mask", 9, 1),
    ("dst_mask", 13, 1),
)  # fmt: skip
_IPV6: Final[tuple[_Field, ...]] = (
    ("src_ip", 27, 16), ("dst_ip", 28, 16), ("next_hop", 62, 16), ("src_mask", 29, 1),
    ("dst_mask", 30, 1),
)  # fmt: skip
_COMMON: Final[tuple[_Field, ...]] = (
    ("packets", 2, 4), ("bytes", 1, 4), ("src_port", 7, 2), ("dst_port", 11, 2),
    ("protocol", 4, 1), ("tcp_flags", 6, 1), ("tos", 5, 1), ("direction", 61, 1),
    ("src_as", 16, 4), ("dst_as", 17, 4),
)  # fmt: skip
# Uptime of the exporter (v9) or milliseconds since 1970 (IPFIX).
_V9_ONLY: Final[tuple[_Field, ...]] = (
    ("flow_start", 22, 4), ("flow_end", 21, 4), ("input_if", 10, 4), ("output_if", 14, 4),
)  # fmt: skip
_IPFIX_ONLY: Final[tuple[_Field, ...]] = (
    ("flow_start", 152, 8), ("flow_end", 153, 8), ("input_if", 10, 2), ("output_if", 14, 2),
    ("flow_end_reason", 136, 1),
)  # fmt: skip
_LAYER2: Final[tuple[_Field, ...]] = (("src_mac", 56, 6), ("dst_mac", 80, 6), ("vlan_id", 58, 2))
# The columns of V5_LAYOUT, in its order.
_V5_COLUMNS: Final = (
    "src_ip", "dst_ip", "next_hop", "input_if", "output_if", "packets", "bytes", "flow_start",
    "flow_end", "src_port", "dst_port", "padding", "tcp_flags", "protocol", "tos", "src_as",
    "dst_as", "src_mask", "dst_mask", "padding",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Kind:
    """
    One template of the exporters.

    Attributes:
        layout: its fields.
        columns: the traffic column of each field.
        ipv6: the address family.

    """

    layout: Layout
    columns: tuple[str, ...]
    ipv6: bool

    @property
    def record_octets(self) -> int:
        """Octets of one record."""
        return self.layout.fixed_octets

    def offset(self, column: str) -> int:
        """Return the octet offset of a column in a record."""
        return self.layout.offsets[self.columns.index(column)]


def kind(version: int, *, ipv6: bool = False, layer2: bool = False) -> Kind:
    """Return the template of a protocol version and address family."""
    if version == V5:
        return Kind(V5_LAYOUT, _V5_COLUMNS, ipv6=False)
    own = {V9: _V9_ONLY, IPFIX: _IPFIX_ONLY}[version]
    fields = (*(_IPV6 if ipv6 else _IPV4), *_COMMON, *own, *(_LAYER2 if layer2 else ()))
    specifiers = [FieldSpecifier(0, element, length) for _, element, length in fields]
    return Kind(layout(version, specifiers), tuple(name for name, _, _ in fields), ipv6)
