"""Who sent how much: datagrams and records by exporter address, counted a batch at a time."""

import ipaddress
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from clarion.wire.decode import Decoded
from clarion.wire.sessions import Session

_FIRST_ROWS: Final = 64


class ExporterCounts:
    """
    Datagrams and flow records of each session row; bounded, for the decoder bounds its sessions.

    `records` counts flow records as they are decoded, late ones too.
    """

    def __init__(self) -> None:
        self.datagrams: NDArray[np.int64] = np.zeros(_FIRST_ROWS, np.int64)
        self.records: NDArray[np.int64] = np.zeros(_FIRST_ROWS, np.int64)

    def add(self, decoded: Decoded, sessions: int) -> None:
        """Count a batch; `sessions` is how many the decoder knows."""
        if sessions > len(self.datagrams):
            more = np.zeros(2 * sessions - len(self.datagrams), np.int64)
            self.datagrams = np.concatenate([self.datagrams, more])
            self.records = np.concatenate([self.records, more])
        self._count(self.datagrams, decoded.headers.session, None)
        for records in decoded.records:
            if not records.layout.options:
                headers = records.headers
                per_datagram = np.bincount(records.datagram, minlength=len(headers))
                self._count(self.records, headers.session, per_datagram)

    def top(self, sessions: Sequence[Session], limit: int = 10) -> list[dict[str, Any]]:
        """Return the exporters of most datagrams, largest first, at most `limit`."""
        totals: dict[bytes, list[int]] = {}
        for row, session in enumerate(sessions[: len(self.datagrams)]):
            total = totals.setdefault(session.address, [0, 0])
            total[0] += int(self.datagrams[row])
            total[1] += int(self.records[row])
        ranked = sorted(totals.items(), key=lambda item: (-item[1][0], item[0]))[:limit]
        return [
            {"exporter": _text(address), "datagrams": datagrams, "records": records}
            for address, (datagrams, records) in ranked
        ]

    @staticmethod
    def _count(
        into: NDArray[np.int64], session: NDArray[np.int64], weight: NDArray[np.int64] | None
    ) -> None:
        """Add to the rows of `session` (N,); row -1, no session, is left out."""
        counted = np.bincount(session + 1, weights=weight)[1:]
        into[: len(counted)] += counted.astype(np.int64)


def _text(address: bytes) -> str:
    found = ipaddress.IPv6Address(address)
    return str(found.ipv4_mapped or found)
