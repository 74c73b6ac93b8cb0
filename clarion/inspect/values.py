"""
Field values: a column of octets as what a person reads.

Integers of any size are integers, addresses and strings are text, opaque and unknown fields are
hex, a field of no octets is null. Where the value cannot be turned back into its octets, or its
type is a vendor's word, the octets go beside it as `raw`.

Source: RFC 7011 6.1, 6.2; RFC 6313 (lists stay opaque).
"""

import math
import socket
import struct
from collections.abc import Callable
from itertools import pairwise
from typing import Final, NamedTuple

from clarion.wire.constants import PEN_V9_SCOPE, VARIABLE
from clarion.wire.elements import DataType, Element, element
from clarion.wire.layout import FieldSpecifier
from clarion.wire.records import Records

Value = int | float | bool | str | None

# What NetFlow v9 calls the scopes of its options (RFC 3954 6.1).
V9_SCOPES: Final = {1: "system", 2: "interface", 3: "lineCard", 4: "cache", 5: "template"}

_PADDING: Final = 210  # paddingOctets: not a value
_NTP_TO_UNIX_S: Final = 2_208_988_800  # 1900 to 1970 (RFC 7011 6.1.9)

_UNSIGNED: Final = frozenset(
    {
        DataType.UNSIGNED8,
        DataType.UNSIGNED16,
        DataType.UNSIGNED32,
        DataType.UNSIGNED64,
        DataType.UNSIGNED256,
        DataType.DATE_TIME_SECONDS,
        DataType.DATE_TIME_MILLISECONDS,
    }
)
_SIGNED: Final = frozenset(
    {DataType.SIGNED8, DataType.SIGNED16, DataType.SIGNED32, DataType.SIGNED64}
)
_NTP: Final = {DataType.DATE_TIME_MICROSECONDS: 10**6, DataType.DATE_TIME_NANOSECONDS: 10**9}


class Column(NamedTuple):
    """
    One field of R records.

    `key` is "8", "9.1232" (PEN and number), or "8#2" for the second field of that element;
    `raw` is hex, None in a row that needs none.
    """

    key: str
    scope: bool
    values: list[Value]
    raw: list[str | None]


def columns(records: Records) -> list[Column]:
    """Return the fields of R records in template order, padding left out."""
    found: list[Column] = []
    seen: dict[tuple[bool, str], int] = {}
    for position, field in enumerate(records.layout.fields):
        if (field.pen, field.element) == (0, _PADDING):
            continue
        scope = position < records.layout.scope_count
        key = field_key(field)
        seen[scope, key] = repeat = seen.get((scope, key), 0) + 1
        known = field_element(field)
        octets = _octets(records, position)
        values = _values(known, field, octets)
        name = key if repeat == 1 else f"{key}#{repeat}"
        found.append(Column(name, scope, values, _raw(known, field, octets, values)))
    return found


def field_key(field: FieldSpecifier) -> str:
    """Return the number of a field's element as text, an enterprise's as "PEN.number"."""
    return str(field.element) if field.pen <= 0 else f"{field.pen}.{field.element}"


def field_name(field: FieldSpecifier) -> str | None:
    """Return the name of a field's element, None where it is not known."""
    if field.pen == PEN_V9_SCOPE:
        return V9_SCOPES.get(field.element)
    known = element(field.element, field.pen)
    return known.name if known else None


def field_element(field: FieldSpecifier) -> Element | None:
    """Return what is known of a field; a v9 scope is an integer whatever its type."""
    if field.pen == PEN_V9_SCOPE:
        name = V9_SCOPES.get(field.element, "scope")
        return Element(field.pen, field.element, name, DataType.UNSIGNED32)
    return element(field.element, field.pen)


def _octets(records: Records, position: int) -> list[bytes]:
    length = records.layout.fields[position].length
    if length == VARIABLE:
        offsets, content = records.variable(position)
        data, ends = content.tobytes(), offsets.tolist()
        return [data[a:b] for a, b in pairwise(ends)]
    data = records.octets(position).tobytes()
    return [data[row * length : (row + 1) * length] for row in range(len(records))]


def _values(known: Element | None, field: FieldSpecifier, octets: list[bytes]) -> list[Value]:
    text = _hex if known is None else _reader(known.type)
    empty: Value = None
    if known is not None and known.type is DataType.STRING and field.length == VARIABLE:
        empty = ""
    return [text(o) if o else empty for o in octets]


def _raw(
    known: Element | None, field: FieldSpecifier, octets: list[bytes], values: list[Value]
) -> list[str | None]:
    if known is None or field.pen > 0 or known.type in _NTP:
        return [o.hex() for o in octets]
    if known.type is DataType.STRING:
        return [
            None if isinstance(v, str) and v.encode() == o else o.hex()
            for o, v in zip(octets, values, strict=True)
        ]
    return [None] * len(octets)


def _reader(kind: DataType) -> Callable[[bytes], Value]:
    """Return how to read one value of a type; a length that the type cannot have gives hex."""
    if kind in _UNSIGNED:
        return lambda octets: int.from_bytes(octets, "big")
    if kind in _SIGNED:
        return lambda octets: int.from_bytes(octets, "big", signed=True)
    if kind in _NTP:
        return lambda octets: _ntp(octets, _NTP[kind])
    return _READERS.get(kind, _hex)


def _hex(octets: bytes) -> Value:
    return "0x" + octets.hex()


def _string(octets: bytes) -> Value:
    try:
        return octets.rstrip(b"\0").decode()
    except UnicodeDecodeError:
        return _hex(octets)


def _float(octets: bytes) -> Value:
    form = {4: ">f", 8: ">d"}.get(len(octets))
    value = struct.unpack(form, octets)[0] if form else math.nan
    return float(value) if math.isfinite(value) else _hex(octets)  # JSON has no NaN


def _boolean(octets: bytes) -> Value:
    return {b"\1": True, b"\2": False}.get(octets, _hex(octets))  # RFC 7011 6.1.5


def _mac(octets: bytes) -> Value:
    return octets.hex(":") if len(octets) == 6 else _hex(octets)


def _ipv4(octets: bytes) -> Value:
    return socket.inet_ntop(socket.AF_INET, octets) if len(octets) == 4 else _hex(octets)


def _ipv6(octets: bytes) -> Value:
    return socket.inet_ntop(socket.AF_INET6, octets) if len(octets) == 16 else _hex(octets)


def _ntp(octets: bytes, ticks: int) -> Value:
    """Read an NTP timestamp as an integer of 1/ticks seconds since 1970 (RFC 7011 6.1.9)."""
    if len(octets) != 8:
        return _hex(octets)
    seconds, fraction = struct.unpack(">II", octets)
    return int((seconds - _NTP_TO_UNIX_S) * ticks + (fraction * ticks >> 32))


_READERS: Final[dict[DataType, Callable[[bytes], Value]]] = {
    DataType.STRING: _string,
    DataType.FLOAT32: _float,
    DataType.FLOAT64: _float,
    DataType.BOOLEAN: _boolean,
    DataType.MAC_ADDRESS: _mac,
    DataType.IPV4_ADDRESS: _ipv4,
    DataType.IPV6_ADDRESS: _ipv6,
}
