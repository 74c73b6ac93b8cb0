"""
The text of addresses, whole columns at a time.

Rule: an address is a few pieces of a table (`10.1.`, `0.7`; `2001:`, `db8`, `::`). One `take` of
all pieces of all rows writes the text, and the offset of every k-th piece is the offset of an
address: no join and no second copy. Results are new arrays, never views of the argument.

Limit: a `pa.StringArray` holds 2 GiB, 50 M addresses; batches here are some thousands.
"""

from functools import cache
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

# The stubs of pyarrow refuse scalars beside arrays, and numpy arrays as indices.
_kernels: Final[Any] = pc

# Table of hextets: 65,536 followed by a colon, 65,536 bare, then "::" and "".
_BARE: Final = 65536
_GAP: Final = 131072
_NOTHING: Final = 131073

_HEX: Final = np.frombuffer(b"0123456789abcdef", np.uint8)


def ipv4_text(values: NDArray[np.uint32]) -> pa.StringArray:
    """
    Write IPv4 addresses in dotted decimal.

    Args:
        values: (R,) uint32, native order, 10.0.0.1 is 0x0A000001.

    Returns:
        (R,) strings, no nulls.

    """
    pieces = np.empty((len(values), 2), np.int32)
    np.right_shift(values, 16, out=pieces[:, 0], casting="unsafe")
    np.bitwise_and(values, 0xFFFF, out=pieces[:, 1], casting="unsafe")
    pieces[:, 1] += 65536
    return _join(_ipv4_halves(), pieces)


def ipv6_text(octets: NDArray[np.uint8]) -> pa.StringArray:
    """
    Write IPv6 addresses in the canonical form, as glibc's inet_ntop does.

    Lower case, no leading zeros, the longest run of two or more zero hextets (the first of equal
    ones) as `::`; IPv4-mapped and IPv4-compatible addresses end in dotted decimal.

    Args:
        octets: (R, 16) uint8, network order.

    Returns:
        (R,) strings, no nulls.

    Source: RFC 5952 4, 5; RFC 4291 2.5.5.

    """
    hextets = np.ascontiguousarray(octets).view(">u2").astype(np.int32)
    pattern = np.packbits(hextets == 0, axis=1).ravel()
    text: pa.StringArray = _join(_hextets(), hextets + _kinds()[pattern])
    # The last 32 bits are an IPv4 address when what precedes is 96 zero bits, or 80 and ffff.
    compatible = (pattern & 0b11111110) == 0b11111100
    mapped = ((pattern & 0b11111100) == 0b11111000) & (hextets[:, 5] == 0xFFFF)
    for prefix, rows in (("::", compatible), ("::ffff:", mapped)):
        if rows.any():
            tail = ipv4_text(_last_four(octets[rows]))
            head, nothing = pa.scalar(prefix, pa.string()), pa.scalar("", pa.string())
            dotted = _kernels.binary_join_element_wise(head, tail, nothing)
            text = _kernels.replace_with_mask(text, pa.array(rows), dotted)
    return text


def mac_text(octets: NDArray[np.uint8]) -> pa.StringArray:
    """
    Write MAC addresses as `aa:bb:cc:dd:ee:ff`.

    Args:
        octets: (R, 6) uint8.

    Returns:
        (R,) strings, no nulls.

    """
    rows = len(octets)
    content = np.full((rows, 6, 3), ord(":"), np.uint8)
    content[:, :, 0] = _HEX[octets >> 4]
    content[:, :, 1] = _HEX[octets & 15]
    flat = content.reshape(rows, 18)[:, :17].copy()
    return _strings(np.arange(rows + 1, dtype=np.int32) * 17, flat)


def address_text(octets: NDArray[np.uint8]) -> pa.StringArray:
    """
    Write exporters' addresses: IPv4-mapped ones in dotted decimal, others as IPv6.

    Args:
        octets: (R, 16) uint8, IPv4 as ::ffff:a.b.c.d (RFC 4291 2.5.5.2).

    Returns:
        (R,) strings, no nulls.

    """
    words = np.ascontiguousarray(octets).view(">u4")
    mapped = (words[:, 0] == 0) & (words[:, 1] == 0) & (words[:, 2] == 0xFFFF)
    if mapped.all():
        return ipv4_text(_last_four(octets))
    text = ipv6_text(octets)
    if not mapped.any():
        return text
    dotted = ipv4_text(_last_four(octets[mapped]))
    mixed: pa.StringArray = _kernels.replace_with_mask(text, pa.array(mapped), dotted)
    return mixed


def _last_four(octets: NDArray[np.uint8]) -> NDArray[np.uint32]:
    """Return the last four of 16 octets, (R, 16), as native numbers, (R,)."""
    return np.ascontiguousarray(octets[:, 12:]).view(">u4").ravel().astype(np.uint32)


def _join(table: pa.StringArray, pieces: NDArray[np.int32]) -> pa.StringArray:
    """Join the K table entries of each row; pieces is (R, K), the result (R,)."""
    rows, per_row = pieces.shape
    parts = _kernels.take(table, pa.array(pieces.ravel()))
    _, offsets, content = parts.buffers()
    starts = np.frombuffer(offsets, np.int32, rows * per_row + 1)[::per_row]
    return _strings(starts.copy(), content)


def _strings(offsets: NDArray[np.int32], content: pa.Buffer | NDArray[np.uint8]) -> pa.StringArray:
    """Make an array of R strings of offsets, (R + 1,), and ASCII content; both are kept."""
    data = pa.py_buffer(content.data) if isinstance(content, np.ndarray) else content
    return pa.StringArray.from_buffers(len(offsets) - 1, pa.py_buffer(offsets.data), data)


def _packed(text: NDArray[np.uint8]) -> pa.StringArray:
    """Make an array of R strings of fixed-width text, (R, W); zero octets are left out."""
    used = text != 0
    offsets = np.zeros(len(text) + 1, np.int32)
    np.cumsum(used.sum(axis=1), out=offsets[1:])
    return _strings(offsets, text[used])


@cache
def _ipv4_halves() -> pa.StringArray:
    """Return 65,536 half addresses with a dot after, `a.b.`, then without; some 4 ms, once."""
    octets = np.array([f"{n}." for n in range(256)], "S4").view(np.uint8).reshape(256, 4)
    text = np.empty((2, 256, 256, 8), np.uint8)
    text[..., :4] = octets[:, None]
    text[..., 4:] = octets
    bare = text[1, ..., 4:]
    bare[bare == ord(".")] = 0
    return _packed(text.reshape(131072, 8))


@cache
def _hextets() -> pa.StringArray:
    """Return the table that `_kinds` points into: hextets with a colon, bare, "::" and ""."""
    values = np.arange(65536)
    text = np.zeros((_NOTHING + 1, 5), np.uint8)
    digits = text[:_GAP].reshape(2, 65536, 5)
    for place in range(4):
        shift = 12 - 4 * place
        digits[:, :, place] = _HEX[values >> shift & 15]
        if shift:
            digits[:, : 1 << shift, place] = 0  # a leading zero
    digits[0, :, 4] = ord(":")
    text[_GAP, :2] = ord(":")
    return _packed(text)


@cache
def _kinds() -> NDArray[np.int32]:
    """
    Return what to add to a hextet to find its piece, by position and by where the zeros are.

    (256, 8) int32; row: bit 7 is set when hextet 0 is zero, and so on.
    """
    kinds = np.zeros((256, 8), np.int32)
    kinds[:, 7] = _BARE
    for pattern in range(256):
        zeros = f"{pattern:08b}"
        run = max((len(run) for run in zeros.split("0")), default=0)
        if run >= 2:
            first = zeros.index("1" * run)
            kinds[pattern, first : first + run] = _NOTHING
            kinds[pattern, first] = _GAP
            if first:
                kinds[pattern, first - 1] = _BARE
    return kinds
