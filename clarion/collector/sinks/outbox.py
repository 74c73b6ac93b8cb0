"""
Bodies on their way to a backend: waiting, in flight, delivered or failed.

Rule: every row of every body is in exactly one of these at any time, whatever threads do, and what
waits is bounded in rows and octets. No I/O here.
"""

import heapq
import itertools
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(slots=True, eq=False)
class Parcel:
    """
    A body in the outbox.

    Attributes:
        content: the body's octets.
        rows: rows in it.
        key: its idempotency key, the same for each attempt.
        refusals: how often the backend answered it with an error of its own.

    """

    content: bytes
    rows: int
    key: str
    refusals: int = 0


class Outbox:
    """
    The queue between one thread that puts parcels and several that take and settle them.

    While the backend is down (`postpone_all`) one parcel is out at a time, as a probe.

    Args:
        max_rows, max_bytes: most that may wait or be in flight.
        clock: monotonic seconds.

    Attributes:
        delivered, failed: rows.
        rows, octets: rows and octets that wait or are in flight.
        down: whether the backend is taken to be unreachable.

    """

    def __init__(self, *, max_rows: int, max_bytes: int, clock: Callable[[], float]) -> None:
        self.delivered = 0
        self.failed = 0
        self.rows = 0
        self.octets = 0
        self.down = False
        self._max_rows = max_rows
        self._max_bytes = max_bytes
        self._clock = clock
        self._ready: deque[Parcel] = deque()
        self._later: list[tuple[float, int, Parcel]] = []
        self._number = itertools.count()
        self._in_flight: set[Parcel] = set()
        self._resume = 0.0
        self._pauses = 0
        self._closed = False
        self._changed = threading.Condition()

    def put(self, parcel: Parcel) -> bool:
        """Add a parcel; False when it does not fit: its rows have failed."""
        with self._changed:
            if (
                self.rows + parcel.rows > self._max_rows
                or self.octets + len(parcel.content) > self._max_bytes
            ):
                self.failed += parcel.rows
                return False
            self.rows += parcel.rows
            self.octets += len(parcel.content)
            self._ready.append(parcel)
            self._changed.notify()
        return True

    def take(self) -> Parcel | None:
        """Wait for a parcel that may be sent now; None when the outbox is closed."""
        with self._changed:
            while not self._closed:
                now = self._clock()
                while self._later and self._later[0][0] <= now:
                    self._ready.append(heapq.heappop(self._later)[2])
                if self._ready and now >= self._resume and not (self.down and self._in_flight):
                    parcel = self._ready.popleft()
                    self._in_flight.add(parcel)
                    return parcel
                due = [self._later[0][0]] if self._later else []
                if self._ready and now < self._resume:
                    due.append(self._resume)
                self._changed.wait(min(due) - now if due else None)
        return None

    def settle(self, parcel: Parcel, *, delivered: int) -> None:
        """
        End a parcel that is in flight: `delivered` of its rows arrived, the others failed.

        The backend has answered, so it is not down.
        """
        with self._changed:
            self.down, self._pauses = False, 0
            if parcel in self._in_flight:
                self._in_flight.remove(parcel)
                self._remove(parcel)
                self.delivered += delivered
                self.failed += parcel.rows - delivered
            self._changed.notify_all()

    def postpone(self, parcel: Parcel, wait_s: float) -> None:
        """Send this parcel again after a wait; others go on."""
        with self._changed:
            if parcel in self._in_flight:
                self._in_flight.remove(parcel)
                due = self._clock() + wait_s
                heapq.heappush(self._later, (due, next(self._number), parcel))
            self.down = False
            self._changed.notify_all()

    def postpone_all(self, parcel: Parcel, wait_s: Callable[[int], float]) -> None:
        """
        Send nothing for a while: the backend cannot be reached, or wants less.

        Args:
            parcel: in flight; it goes behind the others, so that no one parcel can block them.
            wait_s: given the number of pauses before this one, how long to wait.

        """
        with self._changed:
            if parcel in self._in_flight:
                self._in_flight.remove(parcel)
                self._ready.append(parcel)
            now = self._clock()
            if now >= self._resume:  # else another parcel has just found the same
                self._resume = now + wait_s(self._pauses)
                self._pauses += 1
            self.down = True
            self._changed.notify_all()

    def close(self, wait_s: float) -> int:
        """
        Wait until nothing is left, at most so long; a pause ends now, for a last try.

        Returns:
            Rows left in the end: they have failed.

        """
        with self._changed:
            deadline = self._clock() + wait_s
            self._resume, self._pauses = 0.0, 0
            self._changed.notify_all()
            while self.rows and (left := deadline - self._clock()) > 0:
                self._changed.wait(left)
            lost = self.rows
            self.failed += lost
            self.rows = self.octets = 0
            self._in_flight.clear()
            self._ready.clear()
            self._later.clear()
            self._closed = True
            self._changed.notify_all()
        return lost

    def _remove(self, parcel: Parcel) -> None:
        self.rows -= parcel.rows
        self.octets -= len(parcel.content)
