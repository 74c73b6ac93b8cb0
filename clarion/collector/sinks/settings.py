"""What a sink is and what it is opened with."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import pyarrow as pa

from clarion.errors import UsageError


class Sink(Protocol):
    """
    A place of delivery, used from one thread.

    Rows written are in exactly one of `delivered`, `failed`, `pending`; the sum of the three is
    what was written, at any time.

    Attributes:
        name: the URI as shown to the user, without secrets.
        delivered: rows acknowledged: on disk under the file's final name, answered 200, written.
        failed: rows lost for good.

    """

    name: str

    @property
    def delivered(self) -> int:
        """Rows acknowledged."""

    @property
    def failed(self) -> int:
        """Rows lost for good; each loss was logged."""

    @property
    def pending(self) -> int:
        """Rows accepted, neither delivered nor failed."""

    def write(self, flows: pa.RecordBatch) -> None:
        """Accept R rows of FLOW_SCHEMA, any R; a fault becomes `failed`, not an exception."""

    def tick(self, now: float) -> None:
        """Flush what is due; now is monotonic seconds, given about twice a second."""

    def close(self) -> None:
        """Flush everything in bounded time; `pending` is 0 afterwards."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SinkSettings:
    """
    Settings that sinks share; each takes what concerns it.

    Attributes:
        batch_size: rows in one HTTP request.
        batch_interval_s: rows wait no longer than this for their HTTP request to fill.
        retry_attempts: retries of a request that the backend answered with an error of its own.
        retry_backoff_s: wait before the first retry; doubled before each further one.
        timeout_s: of one HTTP request.
        requests_in_flight: HTTP requests at the same time.
        pending_rows, pending_bytes: what may wait for an HTTP backend; more is lost and counted.
        close_timeout_s: `close` gives up after this, and counts what is left as failed.
        file_bytes, file_seconds: a Parquet file is complete at this size or age.
        clock: monotonic seconds.
        wall_clock: seconds since 1970 UTC.

    """

    batch_size: int = 1000
    batch_interval_s: float = 5.0
    retry_attempts: int = 3
    retry_backoff_s: float = 1.5
    timeout_s: float = 10.0
    requests_in_flight: int = 4
    pending_rows: int = 1_000_000
    pending_bytes: int = 256 << 20
    close_timeout_s: float = 10.0
    file_bytes: int = 128 << 20
    file_seconds: float = 60.0
    clock: Callable[[], float] = time.monotonic
    wall_clock: Callable[[], float] = time.time

    def __post_init__(self) -> None:
        for name in ("batch_size", "requests_in_flight", "pending_rows", "pending_bytes"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} is {getattr(self, name)}; wanted 1 or more")
        for name in ("batch_interval_s", "retry_attempts", "retry_backoff_s", "close_timeout_s"):
            if getattr(self, name) < 0:
                raise UsageError(f"{name} is {getattr(self, name)}; wanted 0 or more")
        for name in ("timeout_s", "file_bytes", "file_seconds"):
            if getattr(self, name) <= 0:
                raise UsageError(f"{name} is {getattr(self, name)}; wanted more than 0")
