"""
Flow columns as JSON: one object a row, written by columns.

Rule: the text of every value is made a column at a time, and one join puts a row together, with
keys, quotes and whole columns of nulls as constants between the values. No Python per row.

Limit: a `pa.StringArray` holds 2 GiB, some 2 M rows of every column. Callers that may have more
slice; pyarrow raises, it does not wrap around.
"""

import json
from collections.abc import Sequence
from typing import Any, Final, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from clarion.flows.schema import BACKEND_COLUMNS

# The stubs of pyarrow refuse scalars beside arrays, and know few types of arrays apart.
_kernels: Final[Any] = pc
Column: TypeAlias = Any


def json_rows(
    flows: pa.RecordBatch, columns: Sequence[str] | None = None, *, end: str = ""
) -> pa.StringArray:
    """
    Write each row as a JSON object.

    Args:
        flows: R rows; columns of integers, timestamps (written as their integer, so milliseconds
            in FLOW_SCHEMA), strings or dictionaries of strings. Null becomes `null`.
        columns: names in the order wanted; all of them if None.
        end: text after each object, such as a newline.

    Returns:
        (R,) strings without nulls, a new array.

    Raises:
        TypeError: a column of another type.

    """
    parts: list[Any] = []
    literal = "{"
    for name in flows.schema.names if columns is None else columns:
        column = flows.column(name)
        literal += f"{_quoted(name)}:"
        if column.null_count == len(column):
            literal += "null"
        elif column.null_count or not pa.types.is_string(column.type):
            parts += [_text(literal), _json_values(column)]
            literal = ""
        else:
            parts += [_text(literal + '"'), _escaped(column)]
            literal = '"'
        literal += ","
    literal = f"{literal.rstrip(',')}}}{end}"
    if not parts:
        return pa.repeat(_text(literal), len(flows))
    rows: pa.StringArray = _kernels.binary_join_element_wise(*parts, _text(literal), _EMPTY)
    return rows


def ndjson(flows: pa.RecordBatch) -> pa.Buffer:
    """Write every column of R rows as R lines of JSON in UTF-8, times in integer milliseconds."""
    return text_octets(json_rows(flows, end="\n"))


def backend_flows(flows: pa.RecordBatch) -> pa.RecordBatch:
    """
    Keep the existing backend's columns, in its order and with its types.

    Its first nine columns are never null. What an exporter left out becomes: addresses `0.0.0.0`;
    ports, protocol, bytes and packets 0; `flow_end` the export time, else the receive time, else
    0; `flow_start` the flow's end. Times are whole Unix seconds, rounded down.

    Args:
        flows: R rows of FLOW_SCHEMA.

    Returns:
        R rows of BACKEND_COLUMNS; flow_start and flow_end int64 seconds.

    """
    columns: dict[str, Any] = {name: flows.column(name) for name in BACKEND_COLUMNS}
    for name in ("src_ip", "dst_ip"):
        columns[name] = _filled(columns[name], _text("0.0.0.0"))
    for name in ("src_port", "dst_port", "protocol", "bytes", "packets"):
        columns[name] = _filled(columns[name], pa.scalar(0, columns[name].type))
    end = columns["flow_end"]
    for later in ("export_time", "receive_time"):
        if end.null_count:
            end = _kernels.coalesce(end, flows.column(later))
    end = _filled(end.cast(pa.int64()), pa.scalar(0, pa.int64()))
    start = _filled(columns["flow_start"].cast(pa.int64()), end)
    columns["flow_start"], columns["flow_end"] = (
        pa.array(time.to_numpy() // 1000) for time in (start, end)
    )
    return pa.record_batch(list(columns.values()), names=list(columns))


def backend_body(rows: pa.StringArray, switch_id: str | None) -> bytes:
    """
    Write the body of one POST to the existing backend.

    Args:
        rows: (R,) of one exporter, R > 0, as `json_rows(backend_flows(flows), end=",")` makes them.
        switch_id: the exporter's address.

    Returns:
        `{"records":[{...},...],"switch_id":...}` in UTF-8.

    """
    records = memoryview(text_octets(rows))[:-1]  # without the last comma
    exporter = json.dumps(switch_id, ensure_ascii=False)
    return b"".join((b'{"records":[', records, f'],"switch_id":{exporter}}}'.encode()))


def text_octets(text: pa.StringArray) -> pa.Buffer:
    """Return the UTF-8 octets of R strings, one after the other; a view of the array."""
    offsets, content = _buffers(text)
    first, last = int(offsets[0]), int(offsets[-1])
    return content.slice(first, last - first)


def _json_values(column: Column) -> Column:
    """Write a column of R values, some perhaps null, as R JSON values."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        values = _json_values(column.dictionary)
        text = _kernels.take(values, column.indices)
    elif pa.types.is_string(kind):
        text = _kernels.binary_join_element_wise(_QUOTE, _escaped(column), _QUOTE, _EMPTY)
    elif pa.types.is_timestamp(kind):
        text = column.cast(pa.int64()).cast(pa.string())
    elif pa.types.is_integer(kind):
        text = column.cast(pa.string())
    else:
        raise TypeError(f"cannot write a column of {kind} as JSON; wanted integers, times or text")
    return _filled(text, _text("null"))


def _escaped(column: Column) -> Column:
    """Escape what JSON strings may not hold: quote, backslash, control (RFC 8259 7)."""
    offsets, content = _buffers(column)
    octets = np.frombuffer(memoryview(content), np.uint8)[offsets[0] : offsets[-1]]
    unfit = octets[(octets < 0x20) | (octets == ord('"')) | (octets == ord("\\"))]
    # The backslash first: the others bring more of them.
    for octet in sorted(np.unique(unfit).tolist(), key=lambda octet: octet != ord("\\")):
        character = chr(octet)
        column = _kernels.replace_substring(column, character, _quoted(character)[1:-1])
    return column


def _quoted(text: str) -> str:
    """Write one string as JSON."""
    return json.dumps(text, ensure_ascii=False)


def _filled(column: Column, value: Column) -> Column:
    """Put `value`, one or R of them, where a column is null."""
    return _kernels.coalesce(column, value) if column.null_count else column


def _text(text: str) -> pa.StringScalar:
    """Return a scalar; without its type pyarrow looks for pandas each time (40 us)."""
    return pa.scalar(text, pa.string())


def _buffers(text: Column) -> tuple[NDArray[np.int32], pa.Buffer]:
    """Return the (R + 1,) int32 offsets of R strings, and the content they point into."""
    _, offsets, content = text.buffers()
    if offsets is None or len(text) == 0:
        return np.zeros(1, np.int32), pa.py_buffer(b"")
    return np.frombuffer(offsets, np.int32, len(text) + 1, text.offset * 4), content


_QUOTE: Final = _text('"')
_EMPTY: Final = _text("")
