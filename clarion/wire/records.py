"""Records of one layout as columns, copied out of the receive buffer."""

from collections.abc import Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from clarion.wire.headers import Headers
from clarion.wire.layout import Layout
from clarion.wire.octets import Int64s

# Native unsigned type of each field length; 3, 5, 6 and 7 octets are widened.
_UNSIGNED = {n: np.dtype(f"u{w}") for n, w in enumerate((1, 1, 2, 4, 4, 8, 8, 8, 8)) if n}

Variable = tuple[Int64s, NDArray[np.uint8]]


class Records:
    """
    R records of one layout, out of T sets.

    Fields stay as octets until a column is asked for: who needs five columns of forty pays for
    five.

    Attributes:
        layout: the records' fields.
        headers: message headers; `datagram` is a row of it.
        late: whether the records waited for their template.
        fixed: (R, layout.fixed_octets) uint8, the fields of fixed length end to end.

    """

    def __init__(
        self,
        layout: Layout,
        headers: Headers,
        fixed: NDArray[np.uint8],
        variable: dict[int, Variable],
        sets: tuple[Int64s, Int64s, Int64s, Int64s],
        *,
        late: bool = False,
    ) -> None:
        """`sets` has (T,) arrays: datagram, set number, set id, records in the set."""
        self.layout = layout
        self.headers = headers
        self.fixed = fixed
        self.late = late
        self._variable = variable
        self._sets = sets

    def __len__(self) -> int:
        return len(self.fixed)

    @cached_property
    def datagram(self) -> Int64s:
        """(R,) int64, row of `headers` of each record."""
        return np.repeat(self._sets[0], self._sets[3])

    @cached_property
    def set_number(self) -> Int64s:
        """(R,) int64, ordinal of each record's set in its datagram."""
        return np.repeat(self._sets[1], self._sets[3])

    @cached_property
    def template_id(self) -> NDArray[np.uint16]:
        """(R,) uint16, each record's set id; 0 for v5."""
        return np.repeat(self._sets[2].astype(np.uint16), self._sets[3])

    @cached_property
    def number(self) -> Int64s:
        """(R,) int64, ordinal of each record in its set."""
        count = self._sets[3]
        return np.arange(len(self)) - np.repeat(np.cumsum(count) - count, count)

    @property
    def nbytes(self) -> int:
        """Octets of memory held, headers included."""
        held = self.fixed.nbytes + 160 * len(self.headers)
        return held + sum(o.nbytes + c.nbytes for o, c in self._variable.values())

    def is_integer(self, position: int) -> bool:
        """Whether a field has 1 to 8 octets, so that `unsigned` can read it."""
        return 1 <= self.layout.fields[position].length <= 8

    def unsigned(self, position: int) -> NDArray[np.unsignedinteger]:
        """
        Return a field of 1 to 8 octets as (R,) native unsigned integers (RFC 7011 6.1, 6.2).

        Raises ValueError for a field of another length.
        """
        length = self.layout.fields[position].length
        wide = _UNSIGNED.get(length)
        if wide is None:
            raise ValueError(f"field {position} has {length} octets, 1 to 8 wanted")
        rows, width = self.fixed.shape
        offset = self.layout.offsets[position]
        if length == wide.itemsize:
            if rows == 0:
                return np.zeros(0, wide)
            column = np.ndarray((rows,), wide.newbyteorder(">"), self.fixed, offset, (width,))
            return column.astype(wide)
        padded = np.zeros((rows, wide.itemsize), np.uint8)
        padded[:, wide.itemsize - length :] = self.fixed[:, offset : offset + length]
        return padded.view(wide.newbyteorder(">"))[:, 0].astype(wide)

    def octets(self, position: int) -> NDArray[np.uint8]:
        """Return a field of fixed length as (R, length) uint8, contiguous."""
        offset = self.layout.offsets[position]
        length = self.layout.fields[position].length
        if offset < 0:
            raise ValueError(f"field {position} is of variable length")
        return np.ascontiguousarray(self.fixed[:, offset : offset + length])

    def variable(self, position: int) -> Variable:
        """Return a field of variable length: offsets (R + 1,) int64 and the octets end to end."""
        return self._variable[position]

    @staticmethod
    def concat(parts: Sequence["Records"]) -> "Records":
        """Return the records of all parts, in order; all must have one layout."""
        first = parts[0]
        if len(parts) == 1:
            return first
        if any(part.layout is not first.layout for part in parts):
            raise ValueError("records of different layouts cannot be put together")
        headers: list[Headers] = []
        shift: dict[int, int] = {}  # parts of one batch share their headers
        rows = 0
        for part in parts:
            if id(part.headers) not in shift:
                shift[id(part.headers)] = rows
                headers.append(part.headers)
                rows += len(part.headers)
        return Records(
            first.layout,
            Headers.concat(headers),
            np.concatenate([part.fixed for part in parts]),
            {p: _concat_variable([part.variable(p) for part in parts]) for p in first._variable},
            (
                np.concatenate([part._sets[0] + shift[id(part.headers)] for part in parts]),
                np.concatenate([part._sets[1] for part in parts]),
                np.concatenate([part._sets[2] for part in parts]),
                np.concatenate([part._sets[3] for part in parts]),
            ),
            late=any(part.late for part in parts),
        )


def _concat_variable(parts: list[Variable]) -> Variable:
    lengths = np.concatenate([np.diff(offsets) for offsets, _ in parts])
    offsets = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return offsets, np.concatenate([content for _, content in parts])
