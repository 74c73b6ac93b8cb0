"""
From the receive thread to the delivery thread: chunks of decoded records, bounded in octets.

The receive thread never waits for room: `offer` says no, and the caller counts the loss.
"""

import threading
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from clarion.wire.records import Records

if TYPE_CHECKING:
    from clarion.wire.layout import Layout


@dataclass(slots=True)
class Chunk:
    """
    Decoded records in arrival order, flow and options records of any layouts.

    `rows` counts flow records only; `octets` is the memory held.
    """

    records: list[Records] = field(default_factory=list)
    rows: int = 0
    octets: int = 0

    def add(self, found: list[Records]) -> None:
        """Add what one batch gave; its options come first, for they describe its flows too."""
        for records in sorted(found, key=lambda records: not records.layout.options):
            self.records.append(records)
            self.octets += records.nbytes
            if not records.layout.options:
                self.rows += len(records)

    def options(self) -> "Chunk":
        """Return a chunk of the options records only."""
        kept = Chunk()
        kept.add([records for records in self.records if records.layout.options])
        return kept

    def runs(self) -> Iterator[Records]:
        """
        Yield the records in as few pieces as keep options records at their place.

        Flow records between two options records are put together, one piece a layout.
        """
        together: dict[Layout, list[Records]] = {}
        for records in self.records:
            if records.layout.options:
                yield from map(Records.concat, together.values())
                together = {}
                yield records
            else:
                together.setdefault(records.layout, []).append(records)
        yield from map(Records.concat, together.values())


class HandoverQueue:
    """
    A queue of chunks that together hold at most `limit` octets.

    What the consumer took counts until `done`, so that the bound covers it too. A chunk larger
    than the limit is taken when the queue is empty.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        # Flow records and octets offered and not yet done; the most octets ever held.
        self.rows = self.octets = self.peak_octets = 0
        self._chunks: deque[Chunk] = deque()
        self._changed = threading.Condition()
        self._closed = False

    def offer(self, chunk: Chunk, *, wait_s: float = 0.0) -> bool:
        """Put a chunk in; False where there is no room, after waiting `wait_s` for some."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._has_room(chunk), wait_s):
                return False
            self._chunks.append(chunk)
            self.rows += chunk.rows
            self.octets += chunk.octets
            self.peak_octets = max(self.peak_octets, self.octets)
            self._changed.notify_all()
            return True

    def take(self, wait_s: float) -> Chunk | None:
        """Take the oldest chunk; None after `wait_s` without one, or at once when closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._chunks or self._closed, wait_s)
            return self._chunks.popleft() if self._chunks else None

    def done(self, chunk: Chunk) -> None:
        """Give back the room of a chunk that was taken."""
        with self._changed:
            self.rows -= chunk.rows
            self.octets -= chunk.octets
            self._changed.notify_all()

    def close(self) -> None:
        """Say that no chunk will come any more."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    @property
    def finished(self) -> bool:
        """Whether it is closed and every chunk was taken."""
        with self._changed:
            return self._closed and not self._chunks

    def _has_room(self, chunk: Chunk) -> bool:
        return not self.octets or self.octets + chunk.octets <= self.limit
