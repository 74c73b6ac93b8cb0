"""
Rows as 64-bit numbers, so that multisets of many rows can be compared by sorting.

Each integer column is mixed in by steps that can be undone, so rows that differ in one of them
never get the same number; text enters by Python's hash (SipHash, keyed anew in each process), so
numbers are only comparable within one. Two different rows share a number with a chance of 2**-64.
"""

from collections.abc import Collection, Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Uint64s = NDArray[np.uint64]

_ODD: Final = np.uint64(0x9E3779B97F4A7C15)
_SHIFT: Final = np.uint64(29)
# Stands for null, which is not 0: larger than any value of the flow columns but bytes, packets.
_NULL: Final = np.uint64(0xFEDCBA9876543210)


def fingerprints(
    table: pa.Table, columns: Sequence[str], key: Collection[str]
) -> tuple[Uint64s, Uint64s]:
    """
    Return two numbers for each row: one from the given columns, one from the key among them.

    Args:
        table: R rows; integers, millisecond timestamps, strings or dictionaries of strings. A
            column it lacks counts as null.
        columns: which, and in which order.
        key: some of them.

    Returns:
        (R,) uint64 each, new arrays.

    """
    rows, keys = np.zeros(len(table), np.uint64), np.zeros(len(table), np.uint64)
    spare = np.empty_like(rows)
    for name in columns:
        numbers = _numbers(table.column(name)) if name in table.column_names else _NULL
        _mix(rows, numbers, spare)
        if name in key:
            _mix(keys, numbers, spare)
    return rows, keys


def _mix(mixed: Uint64s, numbers: Uint64s | np.uint64, spare: Uint64s) -> None:
    """Mix a column in, in place; for the same numbers every step can be undone."""
    mixed ^= numbers
    mixed *= _ODD
    np.right_shift(mixed, _SHIFT, out=spare)
    mixed ^= spare


def _numbers(column: Any) -> Uint64s:
    """Return a column's values as 64-bit numbers."""
    kind = column.type
    if pa.types.is_string(kind) or pa.types.is_dictionary(kind):
        return _text_numbers(column)
    if pa.types.is_timestamp(kind):
        column = column.cast(pa.timestamp("ms", tz=kind.tz), safe=False).cast(pa.int64())
    missing = column.is_null().to_numpy() if column.null_count else None
    if missing is not None:
        column = column.fill_null(0)
    numbers: Uint64s = column.to_numpy().astype(np.uint64, copy=False)
    return numbers if missing is None else np.where(missing, _NULL, numbers)


def _text_numbers(column: Any) -> Uint64s:
    """Hash each distinct text once."""
    parts = [np.empty(0, np.uint64)]
    encoded = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
    for chunk in encoded.chunks:
        texts = chunk.dictionary.to_pylist()
        known = np.fromiter((hash(text) for text in texts), np.int64, len(texts)).view(np.uint64)
        known = np.append(known, _NULL)
        codes = chunk.indices.fill_null(len(texts)) if chunk.null_count else chunk.indices
        parts.append(known[codes.to_numpy()])
    return np.concatenate(parts)
