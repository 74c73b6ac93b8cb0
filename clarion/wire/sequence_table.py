"""
What sequence numbers told: figures by session, and their totals.

Rule: records and datagrams are never added up. v5, v7 and IPFIX number records, v9 and sFlow
number datagrams, and a loss is counted in what its protocol numbers.
"""

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from clarion.wire.octets import Int64s
from clarion.wire.sequence_units import UNIT, Unit


@dataclass(frozen=True, slots=True)
class SequenceCounts:
    """
    Totals of sessions: `a + b` adds.

    Attributes:
        datagrams: followed.
        lost_records: of sessions that number records (v5, v7, IPFIX).
        lost_datagrams: of sessions that number datagrams (v9, sFlow).
        reordered: late datagrams.
        duplicate: datagrams that came again.
        restarted: how often a counter started over.
        unknowable: datagrams after which a loss could not have been seen.

    """

    datagrams: int = 0
    lost_records: int = 0
    lost_datagrams: int = 0
    reordered: int = 0
    duplicate: int = 0
    restarted: int = 0
    unknowable: int = 0

    def __add__(self, other: "SequenceCounts") -> "SequenceCounts":
        return SequenceCounts(
            *(getattr(self, f.name) + getattr(other, f.name) for f in fields(SequenceCounts))
        )


@dataclass(frozen=True, slots=True)
class SequenceTable:
    """
    Figures of S sessions, as (S,) arrays; row i is row i of the decoder's sessions.

    All but `lost` only ever grow, as a metric must.

    Attributes:
        version: int64, as in `Headers`; 0 for a session without sequence numbers.
        datagrams: int64, followed.
        missed: int64, units that a gap left out when it opened: records (v5, v7, IPFIX) or
            datagrams (v9, sFlow).
        recovered: int64, units of `missed` that came later.
        reordered: int64, datagrams that came after a later one.
        duplicate: int64, datagrams that came again.
        restarted: int64, how often the exporter's counter started over.
        unknowable: int64, datagrams whose records could not all be counted: how much is missing
            behind each of them cannot be known, and is not in `missed`.

    """

    version: Int64s
    datagrams: Int64s
    missed: Int64s
    recovered: Int64s
    reordered: Int64s
    duplicate: Int64s
    restarted: Int64s
    unknowable: Int64s

    def __len__(self) -> int:
        return len(self.version)

    @property
    def lost(self) -> Int64s:
        """(S,) int64, units that never came; a lower bound where `unknowable` is not 0."""
        return self.missed - self.recovered

    @property
    def counts_datagrams(self) -> NDArray[np.bool_]:
        """(S,) bool, whether a session's `missed`, `recovered`, `lost` are datagrams."""
        return np.equal(UNIT[self.version], Unit.DATAGRAMS)

    def totals(self) -> SequenceCounts:
        """Return the sums over all sessions."""
        lost, datagrams = self.lost, self.counts_datagrams
        return SequenceCounts(
            datagrams=int(self.datagrams.sum()),
            lost_records=int(lost[~datagrams].sum()),
            lost_datagrams=int(lost[datagrams].sum()),
            reordered=int(self.reordered.sum()),
            duplicate=int(self.duplicate.sum()),
            restarted=int(self.restarted.sum()),
            unknowable=int(self.unknowable.sum()),
        )
