"""Big-endian integers at any octet of a buffer, many at once."""

import numpy as np
from numpy.typing import NDArray

Int64s = NDArray[np.int64]


class OctetReader:
    """
    Stride-1 views of a buffer: element i of a view begins at octet i, so that a fancy index
    reads one value at each of many odd offsets.

    The buffer must have `batch.SLACK` octets behind the last position read.
    """

    __slots__ = ("_octets", "_u16", "_u32")

    def __init__(self, octets: NDArray[np.uint8]) -> None:
        self._octets = octets
        self._u16 = _stride_one(octets, ">u2", 2)
        self._u32 = _stride_one(octets, ">u4", 4)

    def u8(self, at: Int64s) -> Int64s:
        """Return the octets at `at`, widened to int64."""
        return self._octets[at].astype(np.int64)

    def u16(self, at: Int64s) -> Int64s:
        """Return the two-octet integers at `at`, widened to int64."""
        return self._u16[at].astype(np.int64)

    def u32(self, at: Int64s) -> Int64s:
        """Return the four-octet integers at `at`, widened to int64."""
        return self._u32[at].astype(np.int64)

    def slice(self, start: int, length: int) -> bytes:
        """Copy `length` octets from `start`."""
        return self._octets[start : start + length].tobytes()

    def blocks(self, at: Int64s, length: int) -> NDArray[np.uint8]:
        """Copy `length` octets from each of `at`: (len(at), length) uint8, contiguous."""
        if not length:
            return np.zeros((len(at), 0), np.uint8)
        taken = _stride_one(self._octets, f"V{length}", length)[at]
        return taken.view(np.uint8).reshape(len(at), length)

    def ranges(self, start: Int64s, length: Int64s) -> tuple[Int64s, NDArray[np.uint8]]:
        """Copy ranges of differing length: offsets (n + 1,) and the octets end to end."""
        offsets = np.zeros(len(start) + 1, np.int64)
        np.cumsum(length, out=offsets[1:])
        index = np.arange(offsets[-1]) + np.repeat(start - offsets[:-1], length)
        return offsets, self._octets[index]


def _stride_one(octets: NDArray[np.uint8], dtype: str, size: int) -> NDArray[np.void]:
    return np.ndarray((max(len(octets) - size + 1, 0),), dtype, octets, 0, (1,))
