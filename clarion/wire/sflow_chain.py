"""
Chains of typed, counted items: the samples of an sFlow datagram, the records of a sample.

An item is a type (enterprise and format), a length, and that many octets, filled up to a
multiple of four. Pass k reads the k-th item of every chain that still has one; when few chains
are left they are walked one by one, so that one long chain does not cost a pass an item.

Source: sFlow version 5, "data_format", "sample_record", "flow_record"; XDR, RFC 4506 4.10.
"""

import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from clarion.wire.octets import Int64s, OctetReader

ITEM_HEADER = 8
# Below this many chains a pass of array operations costs more than plain Python.
_FEW = 32


@dataclass(frozen=True, slots=True)
class Items:
    """
    K items, as (K,) int64 arrays, by chain and in order within each.

    Attributes:
        chain: row of the chains walked.
        number: ordinal in its chain, from 0.
        kind: enterprise (20 bits) and format (12 bits).
        at: where its body begins in the buffer.
        length: octets of its body, the filling included.

    """

    chain: Int64s
    number: Int64s
    kind: Int64s
    at: Int64s
    length: Int64s

    def __len__(self) -> int:
        return len(self.chain)


@dataclass(frozen=True, slots=True)
class Chains:
    """
    What came of walking T chains.

    Attributes:
        items: all whole items.
        count: (T,) int64, whole items of each chain.
        stop: (T,) int64, the octet of the buffer behind each chain's last whole item.
        over: (T,) bool, whether the item at `stop` reaches past the end.

    """

    items: Items
    count: Int64s
    stop: Int64s
    over: NDArray[np.bool_]


def walk_chains(
    reader: OctetReader, at: Int64s, end: Int64s, count: Int64s, *, most: int
) -> Chains:
    """
    Find the items of T chains.

    Args:
        reader: reads the buffer.
        at: (T,) int64, where each chain begins.
        end: (T,) int64, where each must end.
        count: (T,) int64, items promised.
        most: items looked for in one chain, whatever is promised.

    """
    found = np.zeros(len(at), np.int64)
    stop = at.copy()
    over = np.zeros(len(at), np.bool_)
    wanted = np.minimum(count, most)
    parts: list[tuple[Int64s, ...]] = []
    chain = np.flatnonzero((wanted > 0) & (end - at >= ITEM_HEADER))
    number = 0
    while len(chain):
        if len(chain) < _FEW and number:
            for row in chain.tolist():
                part = _walk_one(reader, int(stop[row]), int(end[row]), number, int(wanted[row]))
                items, stop[row], over[row] = part
                found[row] += len(items)
                if items:
                    table = np.array(items, np.int64).T
                    parts.append((np.full(len(items), row), *table))
            break
        here = stop[chain]
        length = reader.u32(here + 4)
        room = end[chain] - here - ITEM_HEADER
        whole = length <= room
        if not whole.all():
            over[chain[~whole]] = True
            chain, here, length, room = chain[whole], here[whole], length[whole], room[whole]
        octets = np.minimum((length + 3) & ~3, room)
        body = here + ITEM_HEADER
        parts.append((chain, np.full(len(chain), number), reader.u32(here), body, octets))
        number += 1
        stop[chain] = body + octets
        found[chain] = number
        chain = chain[(wanted[chain] > number) & (room - octets >= ITEM_HEADER)]
    return Chains(_in_order(parts, found), found, stop, over)


def _walk_one(
    reader: OctetReader, at: int, end: int, number: int, wanted: int
) -> tuple[list[tuple[int, int, int, int]], int, bool]:
    """Walk one chain from its `number`-th item: items, where it stops, whether one is too long."""
    base, octets = at, reader.slice(at, end - at)
    at, end = 0, end - at
    items: list[tuple[int, int, int, int]] = []
    while number < wanted and end - at >= ITEM_HEADER:
        kind, length = struct.unpack_from("!II", octets, at)
        room = end - at - ITEM_HEADER
        if length > room:
            return items, base + at, True
        length = min((length + 3) & ~3, room)
        items.append((number, kind, base + at + ITEM_HEADER, length))
        at += ITEM_HEADER + length
        number += 1
    return items, base + at, False


def _in_order(parts: list[tuple[Int64s, ...]], count: Int64s) -> Items:
    """Put items found pass by pass into order by chain and number."""
    if not parts:
        none = np.zeros(0, np.int64)
        return Items(none, none, none, none, none)
    if len(parts) == 1:
        return Items(*parts[0])
    columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
    place = (np.cumsum(count) - count)[columns[0]] + columns[1]
    ordered = [np.empty_like(column) for column in columns]
    for target, column in zip(ordered, columns, strict=True):
        target[place] = column
    return Items(*ordered)
