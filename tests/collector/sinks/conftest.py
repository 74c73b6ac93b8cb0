"""Flows to write, and the account every sink has to keep."""

import pyarrow as pa
import pytest

from clarion.flows.schema import FLOW_SCHEMA

NOW_MS = 1_790_000_000_000


def make_flows(rows: int, *, first: int = 0, exporters: tuple[str | None, ...] = ("192.0.2.1",)):
    """Rows told apart by `bytes`: first, first + 1, ...; exporters take turns."""
    numbers = range(first, first + rows)
    known = [name for name in exporters if name is not None]
    code = {name: known.index(name) for name in known}
    codes = pa.array([code.get(exporters[n % len(exporters)]) for n in numbers], pa.int32())
    columns = {
        "src_ip": pa.array([f"10.0.{n >> 8 & 255}.{n & 255}" for n in numbers]),
        "dst_ip": pa.array(["2001:db8::1"] * rows, pa.string()),
        "src_port": pa.array([n & 0xFFFF for n in numbers], pa.uint16()),
        "dst_port": pa.array([443] * rows, pa.uint16()),
        "protocol": pa.array([6] * rows, pa.uint8()),
        "bytes": pa.array(numbers, pa.uint64()),
        "packets": pa.array([1] * rows, pa.uint64()),
        "flow_start": pa.array([NOW_MS - 1500] * rows, FLOW_SCHEMA.field("flow_start").type),
        "switch_id": pa.DictionaryArray.from_arrays(codes, pa.array(known, pa.string())),
        "src_mac": pa.array(["00:00:5e:00:53:01"] * rows, pa.string()),
        "export_time": pa.array([NOW_MS] * rows, FLOW_SCHEMA.field("export_time").type),
    }
    return pa.record_batch(
        [columns.get(f.name, pa.nulls(rows, f.type)) for f in FLOW_SCHEMA], schema=FLOW_SCHEMA
    )


def check_account(sink, written: int) -> tuple[int, int, int]:
    """Every row written is in exactly one of three places."""
    account = sink.delivered, sink.failed, sink.pending
    assert sum(account) == written, account
    assert min(account) >= 0, account
    return account


@pytest.fixture
def flows():
    return make_flows


@pytest.fixture
def account():
    return check_account
