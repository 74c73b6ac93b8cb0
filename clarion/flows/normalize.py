"""
Records of any layout to the flow columns.

How a layout's fields become columns is worked out once a layout and kept; applying it is array
operations over all its records. A column no field serves is null.
"""

from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from clarion.flows.addresses import address_text, ipv4_text, ipv6_text, mac_text
from clarion.flows.schema import FLOW_SCHEMA, SWITCH_ID_TYPE
from clarion.flows.times import SYSTEM_INIT, BootTimes, time_reader
from clarion.wire.constants import PEN_CISCO, PEN_IANA, SFLOW, V5
from clarion.wire.layout import Layout
from clarion.wire.records import Records

# The stubs of pyarrow refuse a type that is not known by name.
_arrow: Any = pa
Array: TypeAlias = "pa.Array[Any]"
Column = Callable[[Records], Array]

# Unsigned columns and the elements they come from, (pen, element), the first present wins.
_UNSIGNED: dict[str, tuple[tuple[int, int], ...]] = {
    "src_port": ((0, 7),),
    "dst_port": ((0, 11),),
    "protocol": ((0, 4),),
    "bytes": ((0, 1), (0, 85), (0, 352), (0, 23)),
    "packets": ((0, 2), (0, 86), (0, 24)),
    # Cisco TrustSec: v9 has no enterprise numbers, IPFIX carries id - 32768 under PEN 9.
    "src_sgt": ((0, 34000), (PEN_CISCO, 1232)),
    "dst_sgt": ((0, 34001), (PEN_CISCO, 1233)),
    "vlan_id": ((0, 58), (0, 243)),
    "input_if": ((0, 10), (0, 252)),
    "output_if": ((0, 14), (0, 253)),
    "tcp_flags": ((0, 6),),
    "tos": ((0, 5),),
    "src_as": ((0, 16),),
    "dst_as": ((0, 17),),
    "icmp_type_code": ((0, 32), (0, 139)),
    "direction": ((0, 61),),
    "flow_end_reason": ((0, 136),),
    "sampling_interval": ((0, 34), (0, 305)),
}
# Columns with one element for IPv4 and one for IPv6.
_ADDRESSES = {"src_ip": (8, 27), "dst_ip": (12, 28), "next_hop": (15, 62)}
_MASKS = {"src_mask": (9, 29, "src_ip"), "dst_mask": (13, 30, "dst_ip")}
_MACS = {"src_mac": (56, 81), "dst_mac": (80, 57)}
_EXPORTER_ADDRESS = (130, 131)
# Layouts are interned; a flood of different ones must not keep them all.
_MAX_PLANS = 4096


class Normalizer:
    """
    Turns records into rows of FLOW_SCHEMA.

    Args:
        switch_id_from_ip: whether `switch_id` is the address the datagram came from; if not, it
            is the address the exporter gives for itself (IE 130, 131) where it gives one.

    """

    def __init__(self, *, switch_id_from_ip: bool = True) -> None:
        self._boots = BootTimes()
        self._switch_id_from_ip = switch_id_from_ip
        self._plans: dict[Layout, dict[str, Column]] = {}
        self._nulls: dict[pa.DataType, Array] = {}

    def learn(self, records: Records) -> None:
        """Take what options records say of their exporter: when it started (IE 160)."""
        position = records.layout.find(SYSTEM_INIT)
        if position >= 0 and records.is_integer(position):
            boot = records.unsigned(position).astype(np.int64)
            self._boots.learn(records.headers.session[records.datagram], boot)

    def normalize(self, records: Records) -> pa.RecordBatch:
        """Return one row a record, in order, with the columns of FLOW_SCHEMA."""
        plan = self._plans.get(records.layout)
        if plan is None:
            if len(self._plans) >= _MAX_PLANS:
                self._plans.clear()
            plan = self._plans[records.layout] = self._plan(records.layout)
        arrays = [
            plan[field.name](records)
            if field.name in plan
            else self._null(field.type, len(records))
            for field in FLOW_SCHEMA
        ]
        return pa.RecordBatch.from_arrays(arrays, schema=FLOW_SCHEMA)

    def _plan(self, layout: Layout) -> dict[str, Column]:
        """Work out which columns a layout has and how each is read."""
        plan: dict[str, Column] = {
            "switch_id": _switch_id(layout, from_ip=self._switch_id_from_ip),
            "observation_domain": lambda r: _array(r.headers.domain[r.datagram]),
            "export_time": lambda r: _times(r.headers.export_ms[r.datagram], None),
            "receive_time": lambda r: _times(r.headers.receive_ms[r.datagram], None),
            "protocol_version": lambda r: _array(r.headers.version[r.datagram].astype(np.uint8)),
        }
        for name, elements in _UNSIGNED.items():
            position = _first_integer(layout, elements)
            if position >= 0:
                plan[name] = _unsigned(position, FLOW_SCHEMA.field(name).type)
        if layout.version == SFLOW:
            del plan["export_time"]  # its header has no clock
        if layout.version == V5:
            plan["sampling_interval"] = _v5_sampling
        for name, (v4, v6) in _ADDRESSES.items():
            column = _address(_sized(layout, v4, 4), _sized(layout, v6, 16))
            if column is not None:
                plan[name] = column
        for name, (v4, v6, address) in _MASKS.items():
            column = _mask(layout, v4, v6, *_ADDRESSES[address])
            if column is not None:
                plan[name] = column
        for name, macs in _MACS.items():
            for element in macs:
                position = _sized(layout, element, 6)
                if position >= 0 and name not in plan:
                    plan[name] = _mac(position)
        for name, end in (("flow_start", False), ("flow_end", True)):
            reader = time_reader(layout, self._boots, end=end)
            if reader is not None:
                plan[name] = lambda r, reader=reader: _times(*reader(r))  # type: ignore[misc]
        return plan

    def _null(self, kind: pa.DataType, rows: int) -> Array:
        known = self._nulls.get(kind)
        if known is None or len(known) < rows:
            known = self._nulls[kind] = _arrow.nulls(max(rows, 1024), kind)
        return known.slice(0, rows)


def _array(values: Any, *, type: Any = None, mask: NDArray[np.bool_] | None = None) -> Array:  # noqa: A002
    made: Array = _arrow.array(values, type=type, mask=mask)
    return made


def _sized(layout: Layout, element: int, length: int) -> int:
    """Return the position of the first such element of the given length, else -1."""
    for position in layout.positions.get((PEN_IANA, element), ()):
        if layout.fields[position].length == length:
            return position
    return -1


def _first_integer(layout: Layout, elements: Iterable[tuple[int, int]]) -> int:
    for key in elements:
        for position in layout.positions.get(key, ()):
            if 1 <= layout.fields[position].length <= 8:
                return position
    return -1


def _unsigned(position: int, kind: pa.DataType) -> Column:
    """An unsigned column; a value its type cannot hold is null."""
    as_numpy: Any = kind.to_pandas_dtype()
    wanted = np.dtype(as_numpy)
    most = np.iinfo(wanted).max

    def read(records: Records) -> Array:
        value = records.unsigned(position)
        if value.dtype.itemsize <= wanted.itemsize:
            return _array(value.astype(wanted, copy=False))
        over = value > most
        return _array(value.astype(wanted), mask=over if over.any() else None)

    return read


def _v5_sampling(records: Records) -> Array:
    """The low 14 bits of the v5 header's sampling field; 0 says nothing."""
    interval = (records.headers.sampling & 0x3FFF).astype(np.uint32)[records.datagram]
    unknown = interval == 0
    return _array(interval, mask=unknown if unknown.any() else None)


def _address(v4: int, v6: int) -> Column | None:
    """IPv4 where there is one; in records with both, a zero address gives way to one that isn't."""
    if v4 < 0 and v6 < 0:
        return None
    if v6 < 0:
        return lambda r: ipv4_text(r.unsigned(v4).astype(np.uint32, copy=False))
    if v4 < 0:
        return lambda r: ipv6_text(r.octets(v6))

    def either(records: Records) -> Array:
        use_v6 = _uses_v6(records, v4, v6)
        texts = pa.chunked_array(
            [
                ipv4_text(records.unsigned(v4)[~use_v6].astype(np.uint32, copy=False)),
                ipv6_text(records.octets(v6)[use_v6]),
            ]
        )
        place = np.where(
            use_v6, np.cumsum(use_v6) - 1 + np.count_nonzero(~use_v6), np.cumsum(~use_v6) - 1
        )
        return _take(texts, place)

    return either


def _uses_v6(records: Records, v4: int, v6: int) -> NDArray[np.bool_]:
    zero: NDArray[np.bool_] = records.unsigned(v4) == 0
    if zero.any():
        zero &= records.octets(v6).any(axis=1)
    return zero


def _mask(layout: Layout, v4: int, v6: int, v4_address: int, v6_address: int) -> Column | None:
    """The prefix length of the family whose address is shown."""
    narrow = _first_integer(layout, [(PEN_IANA, v4)])
    wide = _first_integer(layout, [(PEN_IANA, v6)])
    kind = pa.uint8()
    if narrow < 0 or wide < 0:
        return _unsigned(max(narrow, wide), kind) if max(narrow, wide) >= 0 else None
    from_v4, from_v6 = _unsigned(narrow, kind), _unsigned(wide, kind)
    addresses = _sized(layout, v4_address, 4), _sized(layout, v6_address, 16)
    if addresses[0] < 0:
        return from_v6
    if addresses[1] < 0:
        return from_v4

    def either(records: Records) -> Array:
        use_v6 = _uses_v6(records, *addresses)
        both = pa.chunked_array([from_v4(records), from_v6(records)])
        rows = np.arange(len(records))
        return _take(both, np.where(use_v6, rows + len(records), rows))

    return either


def _take(pieces: "pa.ChunkedArray[Any]", place: NDArray[np.int64]) -> Array:
    taken: Array = pieces.combine_chunks().take(place)
    return taken


def _mac(position: int) -> Column:
    return lambda records: mac_text(records.octets(position))


def _times(millis: NDArray[np.int64], unknown: NDArray[np.bool_] | None) -> Array:
    return _array(millis, type=FLOW_SCHEMA.field("flow_start").type, mask=unknown)


def _switch_id(layout: Layout, *, from_ip: bool) -> Column:
    """The exporter's address, as a dictionary: few addresses, many rows."""
    v4 = -1 if from_ip else _sized(layout, _EXPORTER_ADDRESS[0], 4)
    v6 = -1 if from_ip else _sized(layout, _EXPORTER_ADDRESS[1], 16)
    told = _address(v4, v6)
    if told is not None:

        def named(records: Records) -> Array:
            text: Any = told(records)
            encoded: Array = text.dictionary_encode().cast(SWITCH_ID_TYPE)
            return encoded

        return named

    def sender(records: Records) -> Array:
        headers = records.headers
        present = np.unique(records.datagram) if len(headers) > len(records) else slice(None)
        octets = headers.address[present]
        key = octets.view("V16")[:, 0]
        _, first, code = np.unique(key, return_index=True, return_inverse=True)
        codes = np.zeros(len(headers), np.int32)
        codes[present] = code
        return pa.DictionaryArray.from_arrays(codes[records.datagram], address_text(octets[first]))

    return sender
