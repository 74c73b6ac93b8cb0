"""
A layout: the field list of a template, compiled for decoding whole columns.

Records are grouped by layout, not by exporter or template id: a thousand routers of one kind
share one layout, so that cost does not grow with the number of exporters.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

from clarion.wire.constants import V1, V5, V7, VARIABLE


class FieldSpecifier(NamedTuple):
    """
    One field of a template (RFC 7011 3.2; RFC 3954 5.2).

    `pen` is the enterprise number, 0 for IANA's, PEN_V9_SCOPE for a v9 scope type; `length` is in
    octets, VARIABLE (65535) for a field that carries its own length.
    """

    pen: int
    element: int
    length: int


@dataclass(frozen=True, eq=False)
class Layout:
    """
    A compiled field list. Layouts are interned by `layout()`: equal ones are the same object.

    Attributes:
        version: 1, 5, 7, 9, 10 or SFLOW: how header times and sequence apply.
        fields: the specifiers in wire order; the first `scope_count` are scope fields.
        scope_count: 0 for data records.
        options: whether records are options records (a v9 options template may have no scope).
        offsets: octet offset of each field in the *fixed part* of a record, the concatenation of
            all fields that are not of variable length; -1 for one that is.
        fixed_octets: octets of the fixed part.
        minimum_octets: octets of the shortest record (one length octet a variable field).
        variable: positions of the fields of variable length.
        positions: (pen, element) -> positions in `fields`, in order.

    """

    version: int
    fields: tuple[FieldSpecifier, ...]
    scope_count: int
    options: bool
    offsets: tuple[int, ...] = field(repr=False)
    fixed_octets: int = field(repr=False)
    minimum_octets: int
    variable: tuple[int, ...] = field(repr=False)
    positions: dict[tuple[int, int], tuple[int, ...]] = field(repr=False)

    def find(self, element: int, pen: int = 0) -> int:
        """Return the position of the first such field, -1 where there is none."""
        found = self.positions.get((pen, element))
        return found[0] if found else -1


def layout(
    version: int, fields: Sequence[FieldSpecifier], *, scope_count: int = 0, options: bool = False
) -> Layout:
    """Return the layout of a field list, the same object for the same list."""
    return _intern(version, tuple(fields), scope_count, options)


@lru_cache(maxsize=4096)
def _intern(
    version: int, fields: tuple[FieldSpecifier, ...], scope_count: int, options: bool
) -> Layout:
    offsets: list[int] = []
    variable: list[int] = []
    positions: dict[tuple[int, int], tuple[int, ...]] = {}
    at = 0
    for position, (pen, element, length) in enumerate(fields):
        key = (pen, element)
        positions[key] = (*positions.get(key, ()), position)
        if length == VARIABLE:
            offsets.append(-1)
            variable.append(position)
        else:
            offsets.append(at)
            at += length
    return Layout(
        version=version,
        fields=fields,
        scope_count=scope_count,
        options=options,
        offsets=tuple(offsets),
        fixed_octets=at,
        minimum_octets=at + len(variable),
        variable=tuple(variable),
        positions=positions,
    )


def _fixed(version: int, *fields: tuple[int, int]) -> Layout:
    """Return the layout of IANA's elements with their lengths; 210 is paddingOctets."""
    return layout(version, [FieldSpecifier(0, element, length) for element, length in fields])


# The records of the versions without templates, their fields named by the elements that v9 gives
# the same things. Cisco, "NetFlow Export Datagram Format".
V5_LAYOUT = _fixed(
    V5,
    (8, 4), (12, 4), (15, 4), (10, 2), (14, 2), (2, 4), (1, 4), (22, 4), (21, 4), (7, 2),
    (11, 2), (210, 1), (6, 1), (4, 1), (5, 1), (16, 2), (17, 2), (9, 1), (13, 1), (210, 2),
)  # fmt: skip
V1_LAYOUT = _fixed(
    V1,
    (8, 4), (12, 4), (15, 4), (10, 2), (14, 2), (2, 4), (1, 4), (22, 4), (21, 4), (7, 2),
    (11, 2), (210, 2), (4, 1), (5, 1), (6, 1), (210, 3), (210, 4),
)  # fmt: skip
# The Catalyst 5000's: opaque are the flags that say which fields are not valid; the last field
# is the router whose shortcut the switch took.
V7_LAYOUT = _fixed(
    V7,
    (8, 4), (12, 4), (15, 4), (10, 2), (14, 2), (2, 4), (1, 4), (22, 4), (21, 4), (7, 2),
    (11, 2), (210, 1), (6, 1), (4, 1), (5, 1), (16, 2), (17, 2), (9, 1), (13, 1), (210, 2),
    (43, 4),
)  # fmt: skip
FIXED_LAYOUTS = {V1: V1_LAYOUT, V5: V5_LAYOUT, V7: V7_LAYOUT}
