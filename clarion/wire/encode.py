"""
Columns to octets: records, template sets and whole datagrams; the inverse of `decode`.

Rule: our own bad input raises `EncodeError` (a value too large for its field, columns of unequal
length); nothing is cut off silently. Datagrams of one shape are the rows of a matrix, and
`header_view` gives their headers as a structured view to assign whole columns to.
"""

import struct
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from clarion.errors import EncodeError
from clarion.wire.constants import (
    ENTERPRISE_BIT,
    FIRST_DATA_SET,
    IPFIX,
    IPFIX_HEADER,
    IPFIX_OPTIONS_SET,
    IPFIX_TEMPLATE_SET,
    MAX_DATAGRAM,
    SET_HEADER,
    V5,
    V5_HEADER,
    V9,
    V9_HEADER,
    V9_OPTIONS_SET,
    V9_TEMPLATE_SET,
    VARIABLE,
)
from clarion.wire.layout import FieldSpecifier, Layout

Octets = NDArray[np.uint8]

# The header of each version, all fields big-endian. `count` counts records (v5, v9);
# IPFIX has the octets of the message instead.
HEADER_DTYPES: Final[dict[int, np.dtype[np.void]]] = {
    # Cisco, "NetFlow Export Datagram Format": the last fields are engine type, engine id.
    V5: np.dtype(
        [("version", ">u2"), ("count", ">u2"), ("uptime_ms", ">u4"), ("export_s", ">u4"),
         ("export_ns", ">u4"), ("sequence", ">u4"), ("domain", ">u2"), ("sampling", ">u2")]
    ),
    # RFC 3954 5.1
    V9: np.dtype(
        [("version", ">u2"), ("count", ">u2"), ("uptime_ms", ">u4"), ("export_s", ">u4"),
         ("sequence", ">u4"), ("domain", ">u4")]
    ),
    # RFC 7011 3.1
    IPFIX: np.dtype(
        [("version", ">u2"), ("length", ">u2"), ("export_s", ">u4"), ("sequence", ">u4"),
         ("domain", ">u4")]
    ),
}  # fmt: skip
HEADER_OCTETS: Final = {V5: V5_HEADER, V9: V9_HEADER, IPFIX: IPFIX_HEADER}


def encode_records(layout: Layout, columns: Sequence[NDArray[Any]]) -> Octets:
    """
    Encode R records of a layout whose fields all have a fixed length.

    Args:
        layout: the fields; one column each, in their order.
        columns: (R,) integers for a field of 1 to 8 octets (a shorter field than the element's
            own type is reduced-size encoding), or (R, length) uint8 for any field.

    Returns:
        (R, layout.fixed_octets) uint8, a new array.

    Raises:
        EncodeError: a missing column, unequal lengths, a value that does not fit its field.

    Source: RFC 7011 6.1, 6.2; RFC 3954 8.

    """
    if layout.variable:
        raise EncodeError("fields of variable length: use encode_record, one record at a time")
    if len(columns) != len(layout.fields):
        raise EncodeError(f"{len(columns)} columns for {len(layout.fields)} fields")
    rows = len(columns[0]) if columns else 0
    records = np.empty((rows, layout.fixed_octets), np.uint8)
    for field, offset, column in zip(layout.fields, layout.offsets, columns, strict=True):
        if len(column) != rows:
            raise EncodeError(f"element {field.element}: {len(column)} rows, others {rows}")
        records[:, offset : offset + field.length] = _field_octets(field, np.asarray(column))
    return records


def encode_record(layout: Layout, values: Sequence[int | bytes]) -> bytes:
    """
    Encode one record, fields of variable length included (scalar: tests and options).

    Args:
        layout: the fields.
        values: an integer or the octets of each field.

    Returns:
        The record; a field of variable length is preceded by its length, in one octet below
        255, else 255 and two octets (RFC 7011 7).

    Raises:
        EncodeError: a value that does not fit its field.

    """
    if len(values) != len(layout.fields):
        raise EncodeError(f"{len(values)} values for {len(layout.fields)} fields")
    parts: list[bytes] = []
    for field, value in zip(layout.fields, values, strict=True):
        if field.length != VARIABLE:
            octets = value if isinstance(value, bytes) else _integer(field, value)
            if len(octets) != field.length:
                raise EncodeError(f"{_name(field)}: {len(octets)} octets, wanted {field.length}")
            parts.append(octets)
        elif not isinstance(value, bytes):
            raise EncodeError(f"{_name(field)}: of variable length, wants octets, found an integer")
        elif len(value) > 65535:
            raise EncodeError(f"{_name(field)}: {len(value)} octets, at most 65535")
        elif len(value) < 255:
            parts.append(bytes([len(value)]) + value)
        else:
            parts.append(struct.pack("!BH", 255, len(value)) + value)
    return b"".join(parts)


def template_set(layout: Layout, template_id: int) -> bytes:
    """
    Encode a set that holds one template or options template.

    Args:
        layout: of version 9 or 10. Options layouts have their `scope_count` scope fields first;
            in v9 those are written by element number alone, whatever their `pen`.
        template_id: 256 to 65535.

    Returns:
        The set, header included; v9 options sets are padded to four octets.

    Raises:
        EncodeError: v5, a template id below 256, an enterprise field in v9.

    Source: RFC 3954 5.2, 6.1; RFC 7011 3.4.1, 3.4.2, 3.2 (enterprise bit).

    """
    if not FIRST_DATA_SET <= template_id <= 65535:
        raise EncodeError(f"template id {template_id}: wanted 256 to 65535")
    if layout.version == V9:
        specifiers = b"".join(_v9_specifier(field) for field in layout.fields)
        if layout.options:
            scope = 4 * layout.scope_count
            head = struct.pack("!HHH", template_id, scope, len(specifiers) - scope)
            return data_set(V9_OPTIONS_SET, head + specifiers, pad_to=4)
        head = struct.pack("!HH", template_id, len(layout.fields))
        return data_set(V9_TEMPLATE_SET, head + specifiers)
    if layout.version != IPFIX:
        raise EncodeError(f"version {layout.version} has no templates")
    specifiers = b"".join(_ipfix_specifier(field) for field in layout.fields)
    head = struct.pack("!HH", template_id, len(layout.fields))
    if layout.options:
        head += struct.pack("!H", layout.scope_count)
        return data_set(IPFIX_OPTIONS_SET, head + specifiers)
    return data_set(IPFIX_TEMPLATE_SET, head + specifiers)


def data_set(set_id: int, content: bytes, *, pad_to: int = 1) -> bytes:
    """
    Return a set: header, content, and zeros up to a multiple of `pad_to` octets.

    Source: RFC 7011 3.3; RFC 3954 5.3 (v9 pads data sets to four).
    """
    length = SET_HEADER + len(content)
    padding = -length % pad_to
    if length + padding > MAX_DATAGRAM:
        raise EncodeError(f"set {set_id}: {length + padding} octets, at most {MAX_DATAGRAM}")
    return struct.pack("!HH", set_id, length + padding) + content + bytes(padding)


def message(version: int, sets: Sequence[bytes], **header: int) -> bytes:
    """
    Return one datagram (scalar: tests, template datagrams).

    Args:
        version: 5, 9 or 10.
        sets: the sets, end to end; for v5 the records.
        header: fields of HEADER_DTYPES[version]; absent ones are 0, `length` is filled in.

    """
    body = b"".join(sets)
    octets = np.zeros((1, HEADER_OCTETS[version] + len(body)), np.uint8)
    if octets.shape[1] > MAX_DATAGRAM:
        raise EncodeError(f"datagram of {octets.shape[1]} octets, at most {MAX_DATAGRAM}")
    view = header_view(version, octets)
    view["version"] = version
    if version == IPFIX:
        view["length"] = octets.shape[1]
    for name, value in header.items():
        view[name] = value
    octets[0, HEADER_OCTETS[version] :] = np.frombuffer(body, np.uint8)
    return octets.tobytes()


def datagrams(layout: Layout, set_id: int, records: Octets) -> Octets:
    """
    Put records into datagrams of one data set each.

    Args:
        layout: tells the version.
        set_id: the template's id (v9, IPFIX); not used by v5, which has no sets.
        records: (D, n, L) uint8: n records of L octets for each of D datagrams.

    Returns:
        (D, W) uint8, a new array: version, count or length, set header, records and padding
        (v9: to four octets) are there; clock, sequence and domain are 0, for `header_view`.

    Raises:
        EncodeError: more records than a datagram holds (v5: 30).

    Source: RFC 3954 5.1, 5.3; RFC 7011 3.1, 3.3.

    """
    version = layout.version
    n_datagrams, n_records, record_octets = records.shape
    width = datagram_octets(version, n_records, record_octets)
    if width > MAX_DATAGRAM or (version == V5 and n_records > 30):
        raise EncodeError(f"{n_records} records of {record_octets} octets do not fit a datagram")
    octets = np.zeros((n_datagrams, width), np.uint8)
    header = header_view(version, octets)
    header["version"] = version
    if version == IPFIX:
        header["length"] = width
    else:
        header["count"] = n_records
    first = record_offset(version)
    if version != V5:
        set_octets = width - first + SET_HEADER
        set_header = struct.pack("!HH", set_id, set_octets)
        octets[:, first - SET_HEADER : first] = np.frombuffer(set_header, np.uint8)
    octets[:, first : first + n_records * record_octets] = records.reshape(n_datagrams, -1)
    return octets


def datagram_octets(version: int, records: int, record_octets: int) -> int:
    """Return the octets of a datagram with one data set of `records` records, padding included."""
    length = record_offset(version) + records * record_octets
    return length + (-length % 4 if version == V9 else 0)


def record_offset(version: int) -> int:
    """Return the octet offset of the first record in a datagram of one data set."""
    return HEADER_OCTETS[version] + (0 if version == V5 else SET_HEADER)


def header_view(version: int, octets: Octets) -> NDArray[np.void]:
    """
    Return the headers of the rows of a matrix as a structured view, to assign columns to.

    Args:
        version: 5, 9 or 10.
        octets: (D, W) uint8, the last axis contiguous.

    Returns:
        (D,) of HEADER_DTYPES[version], a view of `octets`.

    """
    return column_view(octets, 0, HEADER_DTYPES[version])


def column_view(octets: Octets, offset: int, dtype: str | np.dtype[np.void]) -> NDArray[Any]:
    """
    Return one field of every row of a matrix as a view, of any alignment.

    Args:
        octets: (D, W) uint8, the last axis contiguous.
        offset: octets from the start of the row.
        dtype: the field's, as `>u4`.

    Returns:
        (D,) view of `octets`.

    """
    size = np.dtype(dtype).itemsize
    if offset + size > octets.shape[1]:
        raise EncodeError(f"field at octet {offset} of a row of {octets.shape[1]}")
    return np.ndarray((len(octets),), dtype, octets, offset, (octets.strides[0],))


def _field_octets(field: FieldSpecifier, column: NDArray[Any]) -> Octets:
    """Return a column as (R, length) big-endian octets."""
    if column.ndim == 2:
        if column.dtype != np.uint8 or column.shape[1] != field.length:
            found = f"{column.dtype} of {column.shape[1]}"
            raise EncodeError(f"{_name(field)}: {found}, wanted uint8 of {field.length} octets")
        return column
    if column.dtype.kind not in "ui":
        raise EncodeError(f"{_name(field)}: {column.dtype} column, wanted integers")
    if not 1 <= field.length <= 8:
        raise EncodeError(f"{_name(field)}: integers into {field.length} octets, wanted 1 to 8")
    if len(column):
        low, high = int(column.min()), int(column.max())
        if low < 0 or high >> (8 * field.length):
            wrong = low if low < 0 else high
            raise EncodeError(f"{_name(field)}: {wrong} does not fit {field.length} octets")
    wide: Octets = column.astype(">u8").view(np.uint8).reshape(-1, 8)
    return wide[:, 8 - field.length :]


def _integer(field: FieldSpecifier, value: int) -> bytes:
    try:
        return value.to_bytes(field.length, "big")
    except OverflowError as err:
        raise EncodeError(f"{_name(field)}: {value} does not fit {field.length} octets") from err


def _v9_specifier(field: FieldSpecifier) -> bytes:
    if field.pen > 0:
        raise EncodeError(f"{_name(field)}: enterprise number {field.pen}, which v9 cannot carry")
    return struct.pack("!HH", field.element, field.length)


def _ipfix_specifier(field: FieldSpecifier) -> bytes:
    if field.pen <= 0:
        return struct.pack("!HH", field.element, field.length)
    return struct.pack("!HHI", field.element | ENTERPRISE_BIT, field.length, field.pen)


def _name(field: FieldSpecifier) -> str:
    return f"element {field.element}"
