"""
Gaps in a session's sequence that a late datagram may still fill.

Rule: bounded, whoever sends. What is given up for that, or because it is too old, is told by the
position behind it: what comes late from before that position cannot be placed any more.
"""

from collections import OrderedDict
from typing import Final, NamedTuple

# A position before all others.
NOWHERE: Final = -(1 << 62)


class Gap(NamedTuple):
    """Units that did not come, from position `begin` up to `end`; when, in session datagrams."""

    begin: int
    end: int
    opened: int


class Gaps:
    """The open gaps of those sessions (by row) that have some."""

    # A gap costs about 170 octets: 6 KiB a session, 25 MiB in all at most.
    LIMIT: Final = 32
    SESSIONS: Final = 4096

    def __init__(self) -> None:
        self._of: OrderedDict[int, list[Gap]] = OrderedDict()  # most recently opened last

    def open(self, row: int, gap: Gap) -> tuple[int, int, int]:
        """
        Add a gap, which lies behind the session's others.

        Returns the position before which gaps of the session were given up; and the row of
        another session all of whose gaps were given up (or this row) and the position for it.
        """
        gaps = self._of.setdefault(row, [])
        self._of.move_to_end(row)
        gaps.append(gap)
        floor = gaps.pop(0).end if len(gaps) > self.LIMIT else NOWHERE
        if len(self._of) > self.SESSIONS:
            other, forgotten = self._of.popitem(last=False)
            return floor, other, forgotten[-1].end
        return floor, row, NOWHERE

    def fill(self, row: int, begin: int, end: int, *, uncounted: bool) -> tuple[int, int]:
        """
        Take the units from `begin` up to `end` out of the session's gaps.

        Those of an `uncounted` datagram may be more: they fill the gap they begin in to its end.
        Returns how many units that were, and the position before which gaps were given up.
        """
        found = 0
        left: list[Gap] = []
        for gap in self._of.get(row, ()):
            open_ended = uncounted and gap.begin <= begin < gap.end
            first, last = max(gap.begin, begin), gap.end if open_ended else min(gap.end, end)
            if first >= last:
                left.append(gap)
                continue
            found += last - first
            if gap.begin < first:
                left.append(gap._replace(end=first))
            if last < gap.end:
                left.append(gap._replace(begin=last))
        floor = left.pop(0).end if len(left) > self.LIMIT else NOWHERE
        if found:
            self._put(row, left)
        return found, floor

    def expire(self, row: int, oldest: int) -> int:
        """Give up gaps opened before `oldest`; return the position behind them."""
        gaps = self._of.get(row)
        if not gaps or gaps[0].opened >= oldest:
            return NOWHERE
        young = [gap for gap in gaps if gap.opened >= oldest]
        self._put(row, young)
        return gaps[len(gaps) - len(young) - 1].end

    def drop(self, row: int) -> int:
        """Forget a session's gaps; return how many units they are."""
        return sum(gap.end - gap.begin for gap in self._of.pop(row, ()))

    def _put(self, row: int, gaps: list[Gap]) -> None:
        if gaps:
            self._of[row] = gaps
        else:
            del self._of[row]
