"""
Flows as rolling Parquet files that DuckDB, pandas, polars and pyarrow read as one table.

Rule: what a reader can see is complete. A file grows under a hidden name
(`DIR/date=2026-01-31/hour=13/.flows-….parquet.tmp`), is synced to disk and then renamed to
`flows-….parquet`; only then are its rows delivered.
"""

import contextlib
import itertools
import logging
import os
import time
from pathlib import Path
from typing import Final

import pyarrow as pa

from clarion.collector.sinks.parquet_file import ParquetFile
from clarion.collector.sinks.settings import SinkSettings
from clarion.errors import SinkError

log = logging.getLogger(__name__)

# Rows of a row group: many enough for dictionaries to pay, few enough for flat memory (15 MB).
_GROUP_ROWS: Final = 65536
# Hidden files untouched for so long belong to no living collector.
_ABANDONED_SECONDS: Final = 3600.0

_numbers = itertools.count()


class ParquetSink:
    """
    Files of one hour each (UTC, when the file was begun), closed by size, age or `close`.

    A fault of the disk loses the rows of the file it hits: they are counted as failed, one line
    says so, and the next write begins a new file. Hidden files that a crash left behind are
    removed at open once they are an hour old; no reader sees them meanwhile.

    Args:
        directory: made if missing. Several processes may write to the same one.
        settings: file_bytes, file_seconds, clock and wall_clock are used.

    Raises:
        SinkError: the directory cannot be made or written to.

    """

    def __init__(self, directory: Path, settings: SinkSettings) -> None:
        self.name = f"parquet:{directory}"
        self.delivered = 0
        self.failed = 0
        self._accepted = 0
        self._directory = directory
        self._settings = settings
        self._waiting: list[pa.RecordBatch] = []
        self._waiting_rows = 0
        self._file: ParquetFile | None = None
        self._partition = ""
        self._close_at = 0.0
        self._working = True
        self._prepare()

    @property
    def pending(self) -> int:
        """Rows in memory or in a file that is not yet complete."""
        return self._accepted - self.delivered - self.failed

    def write(self, flows: pa.RecordBatch) -> None:
        """Accept R rows; a row group is written when there are enough."""
        if not len(flows):
            return
        if not self.pending:
            self._close_at = self._settings.clock() + self._settings.file_seconds
            self._partition = self._hour()
        self._waiting.append(flows)
        self._waiting_rows += len(flows)
        self._accepted += len(flows)
        if self._waiting_rows >= _GROUP_ROWS:
            self._write_group()
            if self._file and self._file.octets >= self._settings.file_bytes:
                self._complete()

    def tick(self, now: float) -> None:
        """Complete the file when it is old enough or its hour is over."""
        if self.pending and (now >= self._close_at or self._partition != self._hour()):
            self._complete()

    def close(self) -> None:
        """Complete the file."""
        if self.pending:
            self._complete()

    def _prepare(self) -> None:
        """Make the directory, see that it can be written to, remove what a crash left."""
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            probe = self._directory / f".clarion-{os.getpid()}-{next(_numbers)}.tmp"
            probe.touch(exist_ok=False)
            probe.unlink()
            before = time.time() - _ABANDONED_SECONDS
            for path in self._directory.glob("date=*/hour=*/.flows-*.tmp"):
                with contextlib.suppress(FileNotFoundError):
                    if path.stat().st_mtime < before:
                        path.unlink()
                        log.warning("removed a file that a crash left incomplete: %s", path)
        except OSError as err:
            raise SinkError(
                f"cannot write to {self.name}: {err.strerror}; "
                "choose a directory that this user may write to: --sink parquet:DIR"
            ) from err

    def _hour(self) -> str:
        """Return the folders of the present hour, UTC."""
        return time.strftime("date=%Y-%m-%d/hour=%H", time.gmtime(self._settings.wall_clock()))

    def _path(self) -> Path:
        """Return a file name that none has: moment, process, number."""
        folder = self._directory / self._partition
        moment = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(self._settings.wall_clock()))
        while True:
            path = folder / f"flows-{moment}-{os.getpid()}-{next(_numbers)}.parquet"
            if not path.exists():
                return path

    def _write_group(self) -> None:
        """Write the rows in memory to the file, as one row group."""
        table = pa.Table.from_batches(self._waiting)
        self._waiting, self._waiting_rows = [], 0
        try:
            if self._file is None:
                self._file = ParquetFile(self._path())
            self._file.write(table)
        except OSError as err:
            self._lose(err, len(table) if self._file is None else 0)

    def _complete(self) -> None:
        """Write what is left, and give the file its name."""
        if self._waiting:
            self._write_group()
        if self._file is None:
            return
        try:
            self._file.complete()
        except OSError as err:
            self._lose(err, 0)
            return
        self.delivered += self._file.rows
        self._file = None
        if not self._working:
            log.info("writing %s again, rows lost=%d", self.name, self.failed)
        self._working = True

    def _lose(self, err: OSError, rows: int) -> None:
        """Count the rows of the file, and `rows` more, as failed; remove the file."""
        if self._file is not None:
            rows += self._file.rows
            self._file.abandon()
            self._file = None
        self.failed += rows
        if self._working:
            log.error(
                "cannot write %s: %s; rows lost=%d; free some space there or choose another disk",
                self.name,
                err.strerror or err,
                rows,
            )
        self._working = False
