"""
Records copied out of a buffer: fixed-length ones in one stroke, others by walking their lengths.

Variable-length fields: RFC 7011 7. Padding: RFC 7011 3.3.1, RFC 3954 5.3.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from clarion.wire.constants import VARIABLE
from clarion.wire.layout import Layout
from clarion.wire.octets import Int64s, OctetReader
from clarion.wire.records import Variable

# Below this many sets a pass of array operations costs more than plain Python.
_FEW = 32


@dataclass(frozen=True, slots=True)
class Gathered:
    """
    The records of T sets of one layout.

    Attributes:
        fixed: (R, layout.fixed_octets) uint8, in set order.
        variable: position -> (offsets (R + 1,), octets).
        count: (T,) int64, records of each set.
        used: (T,) int64, octets of each set's body taken by its records.
        broken: (T,) bool, whether a record reached past the end of its set.

    """

    fixed: NDArray[np.uint8]
    variable: dict[int, Variable]
    count: Int64s
    used: Int64s
    broken: NDArray[np.bool_]


def gather(reader: OctetReader, layout: Layout, start: Int64s, length: Int64s) -> Gathered:
    """
    Copy the records of data sets.

    Args:
        reader: reads the buffer.
        layout: of all sets; its records have at least one octet.
        start: (T,) int64, where each set's body begins in the buffer.
        length: (T,) int64, octets of each body.

    """
    if layout.variable:
        return _gather_variable(reader, layout, start, length)
    size = layout.fixed_octets
    count = length // size
    if len(count) and (count == count[0]).all():
        blocks = reader.blocks(start, int(count[0]) * size)
        fixed = blocks.reshape(len(start) * int(count[0]), size)
    else:
        number = np.arange(int(count.sum())) - np.repeat(np.cumsum(count) - count, count)
        fixed = reader.blocks(np.repeat(start, count) + number * size, size)
    return Gathered(fixed, {}, count, count * size, np.zeros(len(count), np.bool_))


def _gather_variable(
    reader: OctetReader, layout: Layout, start: Int64s, length: Int64s
) -> Gathered:
    """Walk the records, then copy each run of fixed fields and each variable field."""
    runs = _runs(layout)
    walked: list[NDArray[np.int64]] = []  # rows: set, octets used behind it, then positions
    broken = np.zeros(len(start), np.bool_)
    end = start + length
    active, at, ends = np.arange(len(start)), start, end
    enough = ends - at >= layout.minimum_octets
    active, at, ends = active[enough], at[enough], ends[enough]
    while len(active) >= _FEW:
        rows, ok = _step(reader, runs, at, ends)
        broken[active[~ok]] = True
        walked.append(np.vstack([active[ok], rows[:, ok]]))
        more = ok & (ends - rows[0] >= layout.minimum_octets)
        active, at, ends = active[more], rows[0, more], ends[more]
    for row, first, stop in zip(active.tolist(), at.tolist(), ends.tolist(), strict=True):
        part, broken[row] = _walk_one(reader, runs, row, first, stop, layout.minimum_octets)
        walked.append(part)
    table = np.concatenate(walked, axis=1) if walked else np.zeros((2 + 2 * len(runs), 0), np.int64)
    table = table[:, np.argsort(table[0], kind="stable")]
    count = np.bincount(table[0], minlength=len(start))
    used = np.zeros(len(start), np.int64)
    filled = count > 0
    used[filled] = table[1, np.cumsum(count)[filled] - 1] - start[filled]
    fixed = np.empty((table.shape[1], layout.fixed_octets), np.uint8)
    variable: dict[int, Variable] = {}
    column = 0
    for number, (octets, position) in enumerate(runs):
        here, field_length = table[2 + 2 * number], table[3 + 2 * number]
        if octets:
            fixed[:, column : column + octets] = reader.blocks(here - octets, octets)
            column += octets
        if position >= 0:
            skip = np.where(reader.u8(here) == 255, 3, 1)
            variable[position] = reader.ranges(here + skip, field_length)
    return Gathered(fixed, variable, count, used, broken)


def _runs(layout: Layout) -> list[tuple[int, int]]:
    """Split a record: octets of a run of fixed fields, then the variable field behind it or -1."""
    runs: list[tuple[int, int]] = []
    octets = 0
    for position, (_, _, length) in enumerate(layout.fields):
        if length == VARIABLE:
            runs.append((octets, position))
            octets = 0
        else:
            octets += length
    if octets:
        runs.append((octets, -1))
    return runs


def _step(
    reader: OctetReader, runs: list[tuple[int, int]], at: Int64s, end: Int64s
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """
    Walk one record of each of n sets.

    Returns (1 + 2 * runs, n): the octet behind the record, and for each run the octet behind its
    fixed part and the length of its variable field; and whether the record ends inside its set.
    """
    rows = np.zeros((1 + 2 * len(runs), len(at)), np.int64)
    ok = np.ones(len(at), np.bool_)
    for number, (octets, position) in enumerate(runs):
        at = at + octets
        rows[1 + 2 * number] = at
        if position >= 0:
            here = np.minimum(at, end)  # a lying length may lead anywhere: read inside
            length = reader.u8(here)
            long = length == 255
            length = np.where(long, reader.u16(here + 1), length)
            rows[2 + 2 * number] = length
            at = at + np.where(long, 3, 1) + length
        ok &= at <= end
    rows[0] = at
    return rows, ok


def _walk_one(
    reader: OctetReader, runs: list[tuple[int, int]], row: int, at: int, end: int, minimum: int
) -> tuple[NDArray[np.int64], bool]:
    """Walk all records of one set: the same rows as `_step`, under a first row with the set."""
    base, body = at, reader.slice(at, end - at)
    end -= base
    at = 0
    found: list[list[int]] = []
    broken = False
    while end - at >= minimum:
        places: list[int] = []
        for octets, position in runs:
            at += octets
            places.append(base + at)
            length = 0
            if position >= 0:
                if at >= end:
                    broken = True
                    break
                length = body[at]
                at += 1
                if length == 255:
                    if at + 2 > end:
                        broken = True
                        break
                    length = body[at] << 8 | body[at + 1]
                    at += 2
                at += length
            places.append(length)
            if at > end:
                broken = True
                break
        if broken:
            break
        found.append([row, base + at, *places])
    table = np.array(found, np.int64).reshape(len(found), 2 + 2 * len(runs))
    return table.T, broken
