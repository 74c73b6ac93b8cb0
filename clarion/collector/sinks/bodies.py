"""
Flows cut into bodies for the backend: each holds rows of one exporter.

Rule: rows are sorted by exporter and written as JSON all together; only cutting the text is done
body by body.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from clarion.flows.rows import backend_body, backend_flows, json_rows
from clarion.flows.schema import BACKEND_COLUMNS

# What `backend_flows` reads.
_COLUMNS: Final = (*BACKEND_COLUMNS, "export_time", "receive_time")
# Rows made into text at a time: some 40 MB of it.
_PIECE_ROWS: Final = 131072
# More rows than these do not wait for their body to fill: many exporters would hold much memory.
_MAX_WAITING_ROWS: Final = 262144


@dataclass(frozen=True, slots=True)
class Body:
    """A request body: its octets and how many rows they hold."""

    content: bytes
    rows: int


class BodyCutter:
    """
    Rows waiting until an exporter has enough for a body.

    Args:
        rows_a_body: most rows in one body.

    Attributes:
        rows: rows that wait.

    """

    def __init__(self, rows_a_body: int) -> None:
        self.rows = 0
        self._rows_a_body = rows_a_body
        self._waiting: list[pa.RecordBatch] = []
        self._fresh = 0

    def add(self, flows: pa.RecordBatch) -> None:
        """Take R rows of FLOW_SCHEMA."""
        if len(flows):
            self._waiting.append(flows.select(list(_COLUMNS)))
            self._fresh += len(flows)
            self.rows += len(flows)

    @property
    def worth_cutting(self) -> bool:
        """
        Whether enough is new: as much as what was left by the last cut, and a body at least.

        So a row is looked at twice on average, however many exporters share few rows.
        """
        return self._fresh >= max(self._rows_a_body, self.rows - self._fresh)

    def cut(self, *, everything: bool) -> list[Body]:
        """
        Return full bodies, and of `everything` also those that are not full.

        What is left keeps waiting, in its order; an exporter's rows keep theirs.
        """
        if not self.rows:
            return []
        table = pa.Table.from_batches(self._waiting).unify_dictionaries().combine_chunks()
        flows = table.to_batches()[0]
        switch_id: Any = flows.column("switch_id")
        exporters: list[str | None] = [*switch_id.dictionary.to_pylist(), None]
        codes = switch_id.indices.fill_null(len(exporters) - 1).to_numpy()
        everything = everything or self.rows >= _MAX_WAITING_ROWS
        order, starts = _by_exporter(codes, self._rows_a_body, everything=everything)
        left = np.ones(len(codes), bool)
        left[order] = False
        self.rows, self._fresh = len(codes) - len(order), 0
        self._waiting = [flows.filter(pa.array(left))] if self.rows else []
        bodies: list[Body] = []
        for edges in _pieces(starts, len(order)):
            rows = order[edges[0] : edges[-1]]
            indices: Any = pa.array(rows)
            text = json_rows(backend_flows(flows.take(indices)), end=",")
            for first, last in pairwise((edges - edges[0]).tolist()):
                exporter = exporters[codes[rows[first]]]
                content = backend_body(text.slice(first, last - first), exporter)
                bodies.append(Body(content, last - first))
        return bodies


def _by_exporter(
    codes: NDArray[np.int32], rows_a_body: int, *, everything: bool
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """
    Sort rows by exporter, in bodies.

    Args:
        codes: (R,) the exporter of each row, a small number.
        rows_a_body: most rows in a body.
        everything: take all rows, not full bodies only.

    Returns:
        (T,) the rows taken, each exporter's together and in their order; (B,) where in these each
        body starts.

    """
    order = np.argsort(codes, kind="stable")
    ordered = codes[order]
    first = np.flatnonzero(np.diff(ordered, prepend=-1))  # of each exporter
    count = np.diff(first, append=len(order))
    rank = np.arange(len(order)) - np.repeat(first, count)
    if not everything:
        taken = rank < np.repeat(count - count % rows_a_body, count)
        order, rank = order[taken], rank[taken]
    return order, np.flatnonzero(rank % rows_a_body == 0)


def _pieces(starts: NDArray[np.int64], end: int) -> list[NDArray[np.int64]]:
    """Group bodies, (B,) starts, into pieces of bounded rows: the edges of each one's bodies."""
    edges = np.append(starts, end)
    turns = np.flatnonzero(np.diff(starts // _PIECE_ROWS, prepend=-1))
    return [edges[a : b + 1] for a, b in pairwise([*turns.tolist(), len(starts)])]
