"""
Fingerprints too many for memory, divided by value so that each part can be compared by itself.

Rule: equal fingerprints land in the same part. One part stays in memory; more go through files in
a temporary directory, 16 octets a row.
"""

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Final, Self

import numpy as np
from numpy.typing import NDArray

Uint64s = NDArray[np.uint64]

_MAX_BITS: Final = 7  # 128 parts, two open files each


class Partitions:
    """
    Parts of rows from several sides; a context manager.

    A row is a pair of numbers: its own fingerprint and its key's.

    Args:
        rows: about how many there will be, all sides together.
        part_rows: about how many one part may have.
        sides: how many kinds of rows (sent, delivered) are kept apart.

    """

    def __init__(self, rows: int, *, part_rows: int, sides: int) -> None:
        self._bits = min(_MAX_BITS, max(0, -(-rows // part_rows) - 1).bit_length())
        self._sides = sides
        self._held: list[list[Uint64s]] = [[] for _ in range(sides)]
        self._files: list[list[BinaryIO]] = []
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        if self._bits:
            place = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="clarion-")))
            self._files = [
                [
                    self._stack.enter_context((place / f"{side}-{part}").open("w+b"))
                    for part in range(1 << self._bits)
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

    def add(self, side: int, row: Uint64s, key: Uint64s) -> None:
        """Add rows of one side; row and key are (R,)."""
        pairs = np.stack([row, key], axis=1)
        if not self._bits:
            self._held[side].append(pairs)
            return
        part = row >> np.uint64(64 - self._bits)
        pairs = pairs[np.argsort(part)]
        edges = np.concatenate([[0], np.cumsum(np.bincount(part, minlength=1 << self._bits))])
        for number, file in enumerate(self._files[side]):
            file.write(pairs[edges[number] : edges[number + 1]].data)

    def parts(self) -> Iterator[list[Uint64s]]:
        """Return each part: for each side (R, 2) rows and keys."""
        if not self._bits:
            yield [np.concatenate([np.empty((0, 2), np.uint64), *held]) for held in self._held]
            return
        for number in range(1 << self._bits):
            yield [_read(files[number]) for files in self._files]


def _read(file: BinaryIO) -> Uint64s:
    file.seek(0)
    return np.frombuffer(file.read(), np.uint64).reshape(-1, 2)
