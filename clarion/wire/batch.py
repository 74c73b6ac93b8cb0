"""
A batch of export datagrams: what every source hands to the decoder.

The octets may be a receive slab, a capture file's packets or a journal page: each datagram is a
(start, length) into one flat buffer, so that no source has to copy into another's shape.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# Octets that must be readable after the last datagram, so that a stride-1 view of a 16-octet
# field may begin at any octet of any datagram.
SLACK = 64

V4_MAPPED_PREFIX = b"\0" * 10 + b"\xff\xff"


@dataclass(frozen=True, slots=True)
class DatagramBatch:
    """
    N datagrams in arrival order.

    Attributes:
        octets: (B,) uint8, contiguous; at least SLACK octets follow the end of the last datagram.
            Owned by the source, which reuses it: the decoder keeps no view of it.
        start: (N,) int64, octet offset of each datagram in `octets`.
        length: (N,) int64, octets of each datagram.
        address: (N, 16) uint8, the exporter's address, IPv4 as ::ffff:a.b.c.d (RFC 4291 2.5.5.2).
        port: (N,) uint16, the exporter's UDP port.
        receive_ms: (N,) int64, receive time, milliseconds since 1970 UTC.

    """

    octets: NDArray[np.uint8]
    start: NDArray[np.int64]
    length: NDArray[np.int64]
    address: NDArray[np.uint8]
    port: NDArray[np.uint16]
    receive_ms: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.start)

    def datagram(self, index: int) -> bytes:
        """Return one datagram's octets, copied."""
        first = int(self.start[index])
        return self.octets[first : first + int(self.length[index])].tobytes()

    @classmethod
    def of(
        cls,
        payloads: list[bytes],
        *,
        address: bytes | list[bytes] = V4_MAPPED_PREFIX + bytes([127, 0, 0, 1]),
        port: int = 0,
        receive_ms: int | list[int] = 0,
    ) -> "DatagramBatch":
        """
        Build a batch from byte strings (tests, captures, journals).

        Args:
            payloads: one byte string a datagram.
            address: 16 octets for all, or 16 octets for each.
            port: exporter port of all.
            receive_ms: receive time of all, or of each.

        """
        n = len(payloads)
        length = np.fromiter((len(p) for p in payloads), np.int64, n)
        start = np.cumsum(length) - length
        octets = np.frombuffer(b"".join(payloads) + bytes(SLACK), np.uint8)
        addresses = address * n if isinstance(address, bytes) else b"".join(address)
        return cls(
            octets=octets,
            start=start,
            length=length,
            address=np.frombuffer(addresses, np.uint8).reshape(n, 16),
            port=np.full(n, port, np.uint16),
            receive_ms=np.broadcast_to(np.asarray(receive_ms, np.int64), (n,)).copy(),
        )
