"""
Columns of flow samples put into records, those with the same parts together.

Source: sFlow version 5, "flow_sample", "flow_sample_expanded", "interface".
"""

from typing import Final, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from clarion.wire import sflow_layouts as keys
from clarion.wire.batch import V4_MAPPED_PREFIX
from clarion.wire.headers import Headers
from clarion.wire.layout import Layout
from clarion.wire.octets import Int64s, OctetReader
from clarion.wire.sflow_layouts import shape
from clarion.wire.sflow_records import SampleColumns
from clarion.wire.sflow_scan import EXPANDED_FLOW_SAMPLE

# An interface is one, none as the packet was discarded, or several.
_ONE, _DISCARDED, _SEVERAL = 0, 1, 2
# forwardingStatus (IE 89, RFC 7270): forwarded, dropped, neither known why; else 0, unknown.
_FORWARDED, _DROPPED = 64, 128
_MAPPED: Final = np.frombuffer(V4_MAPPED_PREFIX, np.uint8)

Columns: TypeAlias = dict[str, NDArray[np.generic]]


class FlowRecords(NamedTuple):
    """Records of one layout: (R, layout.fixed_octets) uint8, and the sample of each, (R,)."""

    layout: Layout
    fixed: NDArray[np.uint8]
    sample: Int64s


def flow_records(
    reader: OctetReader,
    headers: Headers,
    start: Int64s,
    samples: tuple[Int64s, Int64s, Int64s],
    said: SampleColumns,
) -> list[FlowRecords]:
    """
    Make the records of T flow samples.

    Args:
        reader: reads the buffer.
        headers: (N,) message headers.
        start: (N,) int64, where each datagram begins in the buffer.
        samples: (T,) int64: type, row of the headers, where the body begins in the buffer.
        said: what their records say.

    """
    kind, datagram, at = samples
    packets = said.packets
    agents, agent6 = _agents(reader, headers, start, datagram)
    key = (
        (agent6.astype(np.int64) << keys.AGENT6)
        | (said.sized.astype(np.int64) << keys.OCTETS)
        | (packets.link.astype(np.int64) << keys.LINK)
        | (said.vlan_kind << keys.VLAN)
        | (packets.family << keys.FAMILY)
        | (packets.transport << keys.TRANSPORT)
        | (said.route_kind << keys.ROUTE)
        | (said.gateway.astype(np.int64) << keys.GATEWAY)
    )
    columns: Columns = {
        "time": headers.receive_ms[datagram],
        "packets": np.ones(len(kind), np.uint8),
        "octets": said.octets,
        "macs": packets.macs,
        "ethertype": packets.ethertype,
        "vlan": said.vlan,
        "post_vlan": said.post_vlan,
        "addresses4": packets.addresses4,
        "addresses6": packets.addresses6,
        "protocol": packets.protocol,
        "tos": packets.tos,
        "ports": packets.ports,
        "flags": packets.flags,
        "icmp": packets.icmp,
        "next_hop4": said.next_hop4,
        "next_hop6": said.next_hop6,
        "source_mask": said.source_mask,
        "destination_mask": said.destination_mask,
        "source_as": said.source_as,
        "destination_as": said.destination_as,
        **agents,
        **_heads(reader, kind, at),
    }
    return _assemble(key, columns)


def _heads(reader: OctetReader, kind: Int64s, at: Int64s) -> Columns:
    """Read rate and interfaces; an interface that is not one is 0, as where it is not known."""
    expanded = kind == EXPANDED_FLOW_SAMPLE
    if not expanded.any():
        source, target = reader.u32(at + 20), reader.u32(at + 24)
        forms, values = (source >> 30, target >> 30), (source & 0x3FFFFFFF, target & 0x3FFFFFFF)
        rate = reader.u32(at + 8)
    elif expanded.all():
        forms = reader.u32(at + 24), reader.u32(at + 32)
        values = reader.u32(at + 28), reader.u32(at + 36)
        rate = reader.u32(at + 12)
    else:
        made = {name: np.zeros(len(at), np.int64) for name in ("rate", "input", "output", "status")}
        for some in (np.flatnonzero(expanded), np.flatnonzero(~expanded)):
            for name, column in _heads(reader, kind[some], at[some]).items():
                made[name][some] = column
        return dict(made)
    forwarded = (forms[1] == _SEVERAL) | ((forms[1] == _ONE) & (values[1] > 0))
    status = np.where(forwarded, _FORWARDED, np.where(forms[1] == _DISCARDED, _DROPPED, 0))
    return {
        "rate": rate,
        "input": np.where(forms[0] == _ONE, values[0], 0),
        "output": np.where(forms[1] == _ONE, values[1], 0),
        "status": status,
    }


def _agents(
    reader: OctetReader, headers: Headers, start: Int64s, datagram: Int64s
) -> tuple[Columns, NDArray[np.bool_]]:
    """Return agents' addresses and where they are IPv6; an agent without one has its sender's."""
    at = start[datagram] + 4
    kind = reader.u32(at)
    agent4 = reader.blocks(at + 4, 4)
    if (kind == 1).all():
        return {"agent4": agent4.view("V4")[:, 0]}, np.zeros(len(at), np.bool_)
    agent6 = reader.blocks(at + 4, 16)
    nameless = np.flatnonzero(kind == 0)
    sender = headers.address[datagram[nameless]]
    agent4[nameless], agent6[nameless] = sender[:, 12:], sender
    version6 = kind == 2
    version6[nameless] = (sender[:, :12] != _MAPPED).any(axis=1)
    return {"agent4": agent4.view("V4")[:, 0], "agent6": agent6.view("V16")[:, 0]}, version6


def _assemble(key: Int64s, columns: Columns) -> list[FlowRecords]:
    """Put the columns of the samples of each key into its layout."""
    present = np.flatnonzero(np.bincount(key, minlength=1)) if len(key) else key
    order = np.argsort(key, kind="stable")
    bounds = np.searchsorted(key[order], present)
    made: list[FlowRecords] = []
    for one, which in zip(present.tolist(), np.split(order, bounds[1:]), strict=False):
        wanted = shape(one)
        records = np.empty(len(which), wanted.dtype)
        rows = slice(None) if len(present) == 1 else which
        for number, name in enumerate(wanted.columns):
            records[f"f{number}"] = columns[name][rows]
        fixed = records.view(np.uint8).reshape(len(which), wanted.layout.fixed_octets)
        made.append(FlowRecords(wanted.layout, fixed, which))
    return made
