"""
Flows as newline-delimited JSON, on stdout or appended to a file.

Rule: whole lines in large writes; rows wait for others at most until the next tick.
"""

import errno
import logging
import os
import stat
import sys
from pathlib import Path
from typing import Final

import pyarrow as pa

from clarion.collector.sinks.settings import SinkSettings
from clarion.errors import SinkError
from clarion.flows.rows import ndjson

log = logging.getLogger(__name__)

# Rows worth a write of their own: some 8 MB of text.
_FULL_ROWS: Final = 16384

_REMEDY: Final = {
    errno.EPIPE: "the collector is started again: its reader has gone",
    errno.ENOSPC: "there is space on the disk",
}


class NdjsonSink:
    """
    Every column of each row as a JSON object, times in integer milliseconds.

    A row is delivered when the operating system has taken its line. A line cut short by a full
    disk is taken back, so that the file stays readable. One process a file or pipe: lines of
    several would mix in a pipe.

    Args:
        path: file to append to; None for stdout.
        settings: not used; every sink is opened alike.

    Raises:
        SinkError: the file cannot be opened.

    """

    def __init__(self, path: Path | None, settings: SinkSettings) -> None:
        del settings
        self.name = f"ndjson:{'-' if path is None else path}"
        self.delivered = 0
        self.failed = 0
        self._accepted = 0
        self._waiting: list[pa.RecordBatch] = []
        self._waiting_rows = 0
        self._working = True
        try:
            if path is None:
                self._fd = os.dup(sys.stdout.fileno())
            else:
                self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        except OSError as err:
            raise SinkError(
                f"cannot open {self.name}: {err.strerror}; choose a file in a writable directory"
            ) from err
        self._regular = stat.S_ISREG(os.fstat(self._fd).st_mode)

    @property
    def pending(self) -> int:
        """Rows not yet written."""
        return self._accepted - self.delivered - self.failed

    def write(self, flows: pa.RecordBatch) -> None:
        """Accept R rows; they are written when there are many, else at the next tick."""
        if len(flows):
            self._waiting.append(flows)
            self._waiting_rows += len(flows)
            self._accepted += len(flows)
        if self._waiting_rows >= _FULL_ROWS:
            self._flush()

    def tick(self, now: float) -> None:
        """Write what waits: someone may be reading along."""
        self._flush()

    def close(self) -> None:
        """Write what waits and close."""
        if self._fd >= 0:
            self._flush()
            os.close(self._fd)
            self._fd = -1

    def _flush(self) -> None:
        if not self._waiting:
            return
        table = pa.Table.from_batches(self._waiting).unify_dictionaries().combine_chunks()
        self._waiting, self._waiting_rows = [], 0
        for flows in table.to_batches(max_chunksize=_FULL_ROWS):
            taken = self._append(memoryview(ndjson(flows)))
            if taken:
                self.delivered += len(flows)
            else:
                self.failed += len(flows)

    def _append(self, lines: memoryview) -> bool:
        """Write whole lines; False when the operating system did not take them all."""
        end = os.fstat(self._fd).st_size if self._regular else 0
        written = 0
        try:
            while written < len(lines):
                written += os.write(self._fd, lines[written:])
        except OSError as err:
            if self._regular and os.fstat(self._fd).st_size == end + written:
                os.ftruncate(self._fd, end)
            if self._working:
                remedy = _REMEDY.get(err.errno or 0, "it can be written")
                log.error("cannot write %s: %s; lost until %s", self.name, err.strerror, remedy)
            self._working = False
            return False
        if not self._working:
            log.info("writing to %s again, rows lost=%d", self.name, self.failed)
        self._working = True
        return True
