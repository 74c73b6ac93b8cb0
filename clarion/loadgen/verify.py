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
import pyarrow as pa

from clarion.loadgen.delivered import Delivered
from clarion.loadgen.partitions import Partitions
from clarion.loadgen.truth import Truth

KEY: Final = (
    "switch_id",
    "observation_domain",
    "src_ip",
    "dst_ip",
    "src_port",
    "dst_port",
    "protocol",
)
# Rows compared at once, both sides together: some 1 GB.
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
    schema = truth.schema
    parts = -(-(truth.records + delivered.rows()) // part_rows)
    counts = np.zeros(5, np.int64)
    keys = ("src_port", "dst_port", "observation_domain")
    with Partitions(parts, schema, keys, sides=2) as partitions:
        for table in truth.tables():
            partitions.add(0, table)
        for table in delivered.tables(schema):
            partitions.add(1, table)
        for sent, arrived in partitions.parts():
            counts += _compare(sent, arrived)
    ok, lost, duplicate, corrupt, unexpected = (int(count) for count in counts)
    return Verdict(truth.records, ok, lost, duplicate, corrupt, unexpected, tuple(schema.names))


def _compare(sent: pa.Table, arrived: pa.Table) -> Any:
    """Return ok, lost, duplicate, corrupt, unexpected of one part, (5,) int64."""
    columns = sent.column_names
    rows = _counted(sent, arrived, columns)
    s, a = _numbers(rows, "sent_sum"), _numbers(rows, "arrived_sum")
    ok = np.minimum(s, a).sum()
    duplicate = np.where(s > 0, np.maximum(a - s, 0), 0).sum()
    missing, strange = np.maximum(s - a, 0), np.where(s == 0, a, 0)
    left = rows.append_column("missing", pa.array(missing))
    left = left.append_column("strange", pa.array(strange))
    left = left.filter(pa.array((missing > 0) | (strange > 0)))
    paired = left.group_by(list(KEY)).aggregate([("missing", "sum"), ("strange", "sum")])
    corrupt = np.minimum(_numbers(paired, "missing_sum"), _numbers(paired, "strange_sum")).sum()
    return np.array(
        [ok, missing.sum() - corrupt, duplicate, corrupt, strange.sum() - corrupt], np.int64
    )


def _counted(sent: pa.Table, arrived: pa.Table, columns: list[str]) -> pa.Table:
    """Return each distinct row with how often it was sent and how often it arrived."""
    tables = []
    for table, (is_sent, has_arrived) in ((sent, (1, 0)), (arrived, (0, 1))):
        tagged = table.append_column("sent", pa.repeat(pa.scalar(is_sent, pa.int64()), len(table)))
        tags = pa.repeat(pa.scalar(has_arrived, pa.int64()), len(table))
        tables.append(tagged.append_column("arrived", tags))
    both = pa.concat_tables(tables)
    return both.group_by(columns).aggregate([("sent", "sum"), ("arrived", "sum")])


def _numbers(table: pa.Table, name: str) -> Any:
    column: Any = table.column(name)
    return column.to_numpy()
