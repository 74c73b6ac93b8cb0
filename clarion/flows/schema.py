"""
The flow columns: one row a flow record, the same names in Parquet, JSON and Kafka.

What is absent is null, not 0. `bytes` and `packets` are as exported; addresses are text; times
are UTC milliseconds.
"""

from typing import Any, Final

import pyarrow as pa

_TIME = pa.timestamp("ms", tz="UTC")
# Few exporters, many rows: the exporter's address is a dictionary everywhere.
SWITCH_ID_TYPE: Final = pa.dictionary(pa.int32(), pa.string())

_FIELDS: "Final[list[pa.Field[Any]]]" = [
    pa.field("src_ip", pa.string()),
    pa.field("dst_ip", pa.string()),
    pa.field("src_port", pa.uint16()),
    pa.field("dst_port", pa.uint16()),
    pa.field("protocol", pa.uint8()),
    pa.field("bytes", pa.uint64()),
    pa.field("packets", pa.uint64()),
    pa.field("flow_start", _TIME),
    pa.field("flow_end", _TIME),
    pa.field("switch_id", SWITCH_ID_TYPE),
    pa.field("src_sgt", pa.uint16()),
    pa.field("dst_sgt", pa.uint16()),
    pa.field("src_mac", pa.string()),
    pa.field("dst_mac", pa.string()),
    pa.field("vlan_id", pa.uint16()),
    pa.field("observation_domain", pa.uint32()),
    pa.field("input_if", pa.uint32()),
    pa.field("output_if", pa.uint32()),
    pa.field("tcp_flags", pa.uint16()),
    pa.field("tos", pa.uint8()),
    pa.field("src_as", pa.uint32()),
    pa.field("dst_as", pa.uint32()),
    pa.field("src_mask", pa.uint8()),
    pa.field("dst_mask", pa.uint8()),
    pa.field("next_hop", pa.string()),
    pa.field("icmp_type_code", pa.uint16()),
    pa.field("direction", pa.uint8()),
    pa.field("flow_end_reason", pa.uint8()),
    pa.field("sampling_interval", pa.uint32()),
    pa.field("export_time", _TIME),
    pa.field("receive_time", _TIME),
    pa.field("protocol_version", pa.uint8()),
]
FLOW_SCHEMA: Final = pa.schema(_FIELDS)

# The existing backend's record, in its order; the first nine are never null there.
BACKEND_COLUMNS: Final = tuple(FLOW_SCHEMA.names[:15])
