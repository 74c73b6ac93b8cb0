"""JSON rows: what a JSON reader gets back is what the columns held."""

import json
from datetime import timedelta

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clarion.flows.rows import backend_body, backend_flows, json_rows, ndjson, text_octets
from clarion.flows.schema import BACKEND_COLUMNS, FLOW_SCHEMA

LIMITS = {pa.uint8(): 2**8, pa.uint16(): 2**16, pa.uint32(): 2**32, pa.uint64(): 2**64}


def values(field: pa.Field) -> st.SearchStrategy:
    """Values of a column as Python has them in JSON; times in milliseconds."""
    if field.type in LIMITS:
        present = st.sampled_from([0, LIMITS[field.type] - 1]) | st.integers(
            0, LIMITS[field.type] - 1
        )
    elif pa.types.is_timestamp(field.type):
        present = st.integers(-(10**12), 4 * 10**12)
    else:
        present = st.text(max_size=8) | st.sampled_from(
            ["192.0.2.1", '"', "\\", "\\n\n\t", "\x00\x1f", "é\u2028", "null"]
        )
    # Columns without nulls, of nulls only, and mixed.
    return st.sampled_from([present, st.none(), present | st.none()])


@st.composite
def flow_batches(draw, max_rows: int = 5) -> tuple[pa.RecordBatch, list[dict]]:
    """A batch of FLOW_SCHEMA and the same rows as dictionaries."""
    rows = draw(st.integers(0, max_rows))
    columns = {}
    for field in FLOW_SCHEMA:
        some = draw(values(field))
        columns[field.name] = draw(st.lists(some, min_size=rows, max_size=rows))
    batch = pa.record_batch(
        [pa.array(columns[field.name], field.type) for field in FLOW_SCHEMA], schema=FLOW_SCHEMA
    )
    by_row = zip(*columns.values(), strict=True)
    return batch, [dict(zip(columns, row, strict=True)) for row in by_row]


def flows_of(**columns: list) -> pa.RecordBatch:
    """A batch of FLOW_SCHEMA: given columns, the others null."""
    rows = len(next(iter(columns.values())))
    return pa.record_batch(
        [pa.array(columns.get(f.name, [None] * rows), f.type) for f in FLOW_SCHEMA],
        schema=FLOW_SCHEMA,
    )


@given(flow_batches())
def test_ndjson_reads_back_as_the_rows(case):
    batch, rows = case
    text = bytes(ndjson(batch)).decode()

    assert [json.loads(line) for line in text.split("\n")[:-1]] == rows
    assert text.endswith("\n") or not rows


@given(flow_batches(max_rows=8), st.integers(0, 8), st.integers(0, 8))
@settings(max_examples=50)
def test_a_slice_writes_its_own_rows(case, first, count):
    batch, rows = case
    text = json_rows(batch.slice(first, count)).to_pylist()

    assert [json.loads(row) for row in text] == rows[first : first + count]


def test_columns_in_the_order_asked_for():
    batch = flows_of(src_ip=["192.0.2.1"], bytes=[7])

    assert json_rows(batch, ["bytes", "vlan_id", "src_ip"], end="\n").to_pylist() == [
        '{"bytes":7,"vlan_id":null,"src_ip":"192.0.2.1"}\n'
    ]


def test_octets_of_a_slice():
    text = pa.array(["ab", "", "cde", "f"], pa.string())

    assert bytes(text_octets(text.slice(1, 2))) == b"cde"
    assert bytes(text_octets(text.slice(0, 0))) == b""


def test_a_column_that_json_rows_cannot_write():
    batch = pa.record_batch([pa.array([[1]])], names=["list"])

    with pytest.raises(TypeError, match="cannot write a column of list"):
        json_rows(batch)


@given(flow_batches())
def test_backend_rows_keep_what_is_there_and_fill_what_is_not(case):
    batch, rows = case
    found = [json.loads(row) for row in json_rows(backend_flows(batch)).to_pylist()]

    assert len(found) == len(rows)
    for record, row in zip(found, rows, strict=True):
        assert tuple(record) == BACKEND_COLUMNS
        expected = {name: row[name] for name in BACKEND_COLUMNS}
        for name in ("src_ip", "dst_ip"):
            expected[name] = "0.0.0.0" if row[name] is None else row[name]
        for name in ("src_port", "dst_port", "protocol", "bytes", "packets"):
            expected[name] = row[name] or 0
        ends = [row[name] for name in ("flow_end", "export_time", "receive_time")]
        end = next((time for time in ends if time is not None), 0)
        start = end if row["flow_start"] is None else row["flow_start"]
        expected["flow_start"], expected["flow_end"] = start // 1000, end // 1000
        assert record == expected


def test_backend_times_are_whole_seconds_rounded_down():
    batch = flows_of(flow_start=[1_999, -1], flow_end=[2_000, 0])
    columns = backend_flows(batch)

    assert columns["flow_start"].to_pylist() == [1, -1]
    assert columns["flow_end"].to_pylist() == [2, 0]
    # The source keeps its milliseconds.
    assert batch["flow_start"].to_pylist()[0].utcoffset() == timedelta(0)


@pytest.mark.parametrize("exporter", ["192.0.2.1", 'a"b', None])
def test_backend_body_is_one_object(exporter):
    batch = flows_of(src_ip=["192.0.2.1", "192.0.2.2"], switch_id=[exporter, exporter])
    body = json.loads(backend_body(json_rows(backend_flows(batch), end=","), exporter))

    assert list(body) == ["records", "switch_id"]
    assert body["switch_id"] == exporter
    assert [record["src_ip"] for record in body["records"]] == ["192.0.2.1", "192.0.2.2"]
    assert [record["switch_id"] for record in body["records"]] == [exporter, exporter]
