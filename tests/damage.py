"""What goes wrong with datagrams on their way: strategies that damage octets, and noise."""

import struct
from collections.abc import Callable

from hypothesis import strategies as st


def _truncate(draw: st.DrawFn, data: bytes) -> bytes:
    return data[: draw(st.integers(0, len(data)))]


def _flip(draw: st.DrawFn, data: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(draw(st.integers(1, 3)) if data else 0):
        changed[draw(st.integers(0, len(data) - 1))] ^= draw(st.integers(1, 255))
    return bytes(changed)


def _splice(draw: st.DrawFn, data: bytes) -> bytes:
    first, second = draw(st.integers(0, len(data))), draw(st.integers(0, len(data)))
    return data[:first] + draw(st.binary(max_size=6)) + data[second:]


def _lie(draw: st.DrawFn, data: bytes) -> bytes:
    """Put a wrong number over two octets: a length or a count, as often as not."""
    if len(data) < 2:
        return data
    at = draw(st.one_of(st.just(2), st.integers(0, (len(data) - 2) // 2).map(lambda n: 2 * n)))
    at = min(at, len(data) - 2)
    small = st.sampled_from([0, 1, 2, 3, 4, 5, 6, 15, 16, 255, 256, 65535, len(data) + 1])
    wrong = draw(st.one_of(small, st.integers(0, len(data))))
    return data[:at] + struct.pack("!H", wrong) + data[at + 2 :]


MUTATIONS: tuple[Callable[[st.DrawFn, bytes], bytes], ...] = (_truncate, _flip, _splice, _lie)


@st.composite
def headed_noise(draw: st.DrawFn) -> bytes:
    """Draw random octets behind a version and, for IPFIX, a length that is right."""
    version = draw(st.sampled_from([5, 9, 10]))
    body = draw(st.binary(min_size=12, max_size=120))
    return struct.pack("!HH", version, len(body) + 4) + body
