"""
The waiting room: data sets whose template has not come yet (RFC 3954 9, RFC 7011 8).

Bounded in octets and in time; when it is full, what comes is given up at once, so that a stream
without templates costs neither memory nor time.
"""

from typing import NamedTuple

import numpy as np

from clarion.wire.headers import Headers
from clarion.wire.octets import Int64s


class WaitingSet(NamedTuple):
    """One data set kept: its header row, ordinal in its datagram, id and body."""

    header: Headers
    number: int
    set_id: int
    body: bytes


class WaitingRoom:
    """Data sets by template key, each key's in order of arrival."""

    # Memory held by a kept set beside its body, estimated.
    OVERHEAD = 2500

    def __init__(self, *, max_octets: int, max_age_ms: int) -> None:
        self.octets = 0
        self._max_octets = max_octets
        self._max_age_ms = max_age_ms
        self._looked_ms = 0
        self._sets: dict[int, list[WaitingSet]] = {}

    def __bool__(self) -> bool:
        return bool(self._sets)

    def fitting(self, lengths: Int64s) -> int:
        """Return how many sets, taken in order, there is room for; `lengths` are their octets."""
        cost = np.cumsum(lengths + self.OVERHEAD)
        return int(np.searchsorted(cost, self._max_octets - self.octets, side="right"))

    def keep(self, key: int, waiting: WaitingSet) -> None:
        """Keep a set until a template of this key comes."""
        self._sets.setdefault(key, []).append(waiting)
        self.octets += len(waiting.body) + self.OVERHEAD

    def release(self, key: int) -> list[WaitingSet]:
        """Return the sets that waited for a template, oldest first, and forget them."""
        found = self._sets.pop(key, [])
        self.octets -= sum(len(waiting.body) + self.OVERHEAD for waiting in found)
        return found

    def expire(self, now_ms: int) -> int:
        """Forget the sets received more than the maximum age before `now_ms`; return how many."""
        if now_ms - self._looked_ms < self._max_age_ms // 16:
            return 0
        self._looked_ms = now_ms
        limit = now_ms - self._max_age_ms
        gone = 0
        for key, sets in list(self._sets.items()):
            young = [waiting for waiting in sets if waiting.header.receive_ms[0] >= limit]
            if len(young) < len(sets):
                gone += len(self.release(key)) - len(young)
                for waiting in young:
                    self.keep(key, waiting)
        return gone
