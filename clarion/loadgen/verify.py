"""
What was sent against what arrived, record by record.

Both sides are multisets of rows. Rows equal in every column the protocol carries are `ok`; more
of them than were sent are `duplicate`. Of what is left, a delivered row with the exporter and
5-tuple of a missing sent row is that record, `corrupt`; other missing ones are `lost`, other
delivered ones `unexpected`. So sent = ok + lost + corrupt, and delivered = ok + duplicate +
corrupt + unexpected.
"""

from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from clarion.loadgen.delivered import Delivered
from clarion.loadgen.fingerprints import fingerprints
from clarion.loadgen.partitions import Partitions
from clarion.loadgen.truth import Truth

Uint64s = NDArray[np.uint64]

KEY: Final = (
    "switch_id",
    "observation_domain",
    "src_ip",
    "dst_ip",
    "src_port",
    "dst_port",
    "protocol",
)
# Rows compared at once, both sides together: some 500 MB at the peak.
_PART_ROWS: Final = 4_000_000


@dataclass(frozen=True, slots=True)
class Verdict:
    """How many records of each kind; `columns` are those compared."""

    sent: int
    ok: int
    lost: int
    duplicate: int
    corrupt: int
    unexpected: int
    columns: tuple[str, ...]

    @property
    def good(self) -> bool:
        """Whether every record arrived once, whole, and nothing else did."""
        return self.ok == self.sent and not (self.duplicate or self.unexpected)

    def summary(self) -> dict[str, Any]:
        """Return the contract's object."""
        return {"event": "verify", **asdict(self), "columns": list(self.columns)}


def verify(truth: Truth, delivered: Delivered, *, part_rows: int = _PART_ROWS) -> Verdict:
    """
    Compare a run with what a collector delivered.

    Args:
        truth: what was sent.
        delivered: what arrived.
        part_rows: rows compared at once; more go through temporary files.

    Raises UsageError where the sink cannot be read.
    """
    columns = truth.schema.names
    counts = np.zeros(2, np.int64)
    missing, strange = [np.empty(0, np.uint64)], [np.empty(0, np.uint64)]
    rows = truth.records + delivered.rows()
    with Partitions(rows, part_rows=part_rows, sides=2) as partitions:
        for side, tables in enumerate((truth.tables(), delivered.tables(truth.schema))):
            for table in tables:
                partitions.add(side, *fingerprints(table, columns, KEY))
        for sent, arrived in partitions.parts():
            ok, duplicate, left, over = _compare(sent, arrived)
            counts += ok, duplicate
            missing.append(left)
            strange.append(over)
    left, over = np.concatenate(missing), np.concatenate(strange)
    corrupt = _pairs(left, over)
    return Verdict(
        sent=truth.records,
        ok=int(counts[0]),
        lost=len(left) - corrupt,
        duplicate=int(counts[1]),
        corrupt=corrupt,
        unexpected=len(over) - corrupt,
        columns=tuple(columns),
    )


def _compare(sent: Uint64s, arrived: Uint64s) -> tuple[int, int, Uint64s, Uint64s]:
    """
    Compare the rows of one part, (S, 2) and (A, 2).

    Returns:
        How many arrived as sent and how many more often; the keys of sent rows that are missing
        and of delivered rows that no one sent, one a row.

    """
    row, place = np.unique(np.concatenate([sent[:, 0], arrived[:, 0]]), return_inverse=True)
    is_sent, has_arrived = place[: len(sent)], place[len(sent) :]
    s = np.bincount(is_sent, minlength=len(row))
    a = np.bincount(has_arrived, minlength=len(row))
    key = np.empty(len(row), np.uint64)
    key[has_arrived] = arrived[:, 1]
    key[is_sent] = sent[:, 1]
    ok, duplicate = np.minimum(s, a).sum(), np.where(s > 0, np.maximum(a - s, 0), 0).sum()
    missing = np.repeat(key, np.maximum(s - a, 0))
    return int(ok), int(duplicate), missing, np.repeat(key, np.where(s == 0, a, 0))


def _pairs(left: Uint64s, right: Uint64s) -> int:
    """Return how many elements of one multiset find a partner in the other."""
    left_key, left_count = np.unique(left, return_counts=True)
    right_key, right_count = np.unique(right, return_counts=True)
    _, at_left, at_right = np.intersect1d(
        left_key, right_key, assume_unique=True, return_indices=True
    )
    return int(np.minimum(left_count[at_left], right_count[at_right]).sum())
