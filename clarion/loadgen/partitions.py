"""
Rows too many for memory, divided by their key so that each part can be compared by itself.

Rule: sent and delivered rows of one key land in the same part. One part stays in memory; more go
through Arrow files in a temporary directory.
"""

import itertools
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

_MAX_PARTS: Final = 256  # two open files each


class Partitions:
    """
    Parts of rows of one schema, from several sides; a context manager.

    Args:
        count: parts.
        schema: of every table added.
        keys: integer columns that choose the part.
        sides: how many kinds of rows (sent, delivered) are kept apart.

    """

    def __init__(self, count: int, schema: pa.Schema, keys: Sequence[str], *, sides: int) -> None:
        self._count = max(1, min(count, _MAX_PARTS))
        self._schema, self._keys, self._sides = schema, tuple(keys), sides
        self._held: list[list[pa.Table]] = [[] for _ in range(sides)]
        self._writers: list[list[Any]] = []
        self._stack = ExitStack()
        self._directory = Path()

    def __enter__(self) -> Self:
        if self._count > 1:
            place = self._stack.enter_context(tempfile.TemporaryDirectory(prefix="clarion-"))
            self._directory = Path(place)
            self._writers = [
                [
                    self._stack.enter_context(
                        pa.ipc.new_file(str(self._file(side, part)), self._schema)
                    )
                    for part in range(self._count)
                ]
                for side in range(self._sides)
            ]
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    def add(self, side: int, table: pa.Table) -> None:
        """Add rows of one side."""
        if self._count == 1:
            self._held[side].append(table)
            return
        part = self._part(table)
        order = np.argsort(part, kind="stable")
        edges = np.searchsorted(part[order], np.arange(self._count + 1))
        ordered = table.take(order)
        for number, (first, last) in enumerate(itertools.pairwise(edges)):
            if last > first:
                self._writers[side][number].write_table(ordered.slice(first, last - first))

    def parts(self) -> Iterator[list[pa.Table]]:
        """Return each part: one table a side. Nothing can be added afterwards."""
        if self._count == 1:
            empty = self._schema.empty_table()
            yield [pa.concat_tables(held) if held else empty for held in self._held]
            return
        for side in self._writers:
            for writer in side:
                writer.close()
        for number in range(self._count):
            yield [self._read(side, number) for side in range(self._sides)]

    def _read(self, side: int, part: int) -> pa.Table:
        with pa.OSFile(str(self._file(side, part)), "rb") as source:
            table: pa.Table = pa.ipc.open_file(source).read_all()
        return table

    def _file(self, side: int, part: int) -> Path:
        return self._directory / f"{side}-{part}.arrow"

    def _part(self, table: pa.Table) -> NDArray[np.int64]:
        mixed = np.zeros(len(table), np.uint64)
        for name in self._keys:
            column: Any = table.column(name)
            filled = pc.fill_null(column.cast(pa.uint64()), 0)
            # Fibonacci hashing: neighbouring keys end up far apart.
            mixed = (mixed ^ filled.to_numpy()) * np.uint64(0x9E3779B97F4A7C15)
        return ((mixed >> np.uint64(33)) % np.uint64(self._count)).astype(np.int64)
