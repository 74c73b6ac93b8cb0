"""
The delivery thread: chunks to flow columns, flow columns to every sink.

Nothing that happens here ends the thread: a sink that raises loses its batch, counted, and the
next batch is tried.
"""

import logging
import threading
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import pyarrow as pa

from clarion.collector.handover import Chunk, HandoverQueue
from clarion.errors import SinkError
from clarion.wire.records import Records

if TYPE_CHECKING:
    from clarion.collector.sinks import Sink

_log = logging.getLogger(__name__)


class Normalizes(Protocol):
    """What makes flow columns of records, one row a record."""

    def learn(self, records: Records) -> None:
        """Take in options records: sampling and the like."""

    def normalize(self, records: Records) -> pa.RecordBatch:
        """Return R records as R rows of FLOW_SCHEMA."""


class Lane:
    """
    One sink and the account of what it was given.

    accepted == delivered + failed + pending, always: what a sink lost without counting it, when
    it raised, is counted here.
    """

    def __init__(self, sink: "Sink") -> None:
        self.sink = sink
        self.accepted = 0
        self._uncounted = 0
        self._last_error = ""

    @property
    def name(self) -> str:
        """The sink's name."""
        return self.sink.name

    @property
    def delivered(self) -> int:
        """Records that the sink has acknowledged."""
        return self.sink.delivered

    @property
    def failed(self) -> int:
        """Records lost for good."""
        return self.sink.failed + self._uncounted

    @property
    def pending(self) -> int:
        """Records accepted and not yet acknowledged."""
        return self.sink.pending

    def write(self, flows: pa.RecordBatch) -> None:
        """Give the sink a batch; never raises."""
        self.accepted += len(flows)
        try:
            self.sink.write(flows)
        except Exception as err:
            self._lost(err)

    def tick(self, now: float) -> None:
        """Let the sink flush what is due; `now` is monotonic seconds; never raises."""
        try:
            self.sink.tick(now)
        except Exception as err:
            self._lost(err)

    def close(self) -> None:
        """Let the sink flush everything; never raises. What it still holds then is lost."""
        try:
            self.sink.close()
        except Exception as err:
            self._lost(err)
        self._uncounted = max(0, self.accepted - self.sink.delivered - self.sink.failed)

    def _lost(self, err: Exception) -> None:
        held = self.sink.delivered + self.sink.failed + self.sink.pending
        self._uncounted = max(self._uncounted, self.accepted - held)
        if str(err) != self._last_error:
            self._last_error = str(err)
            expected = isinstance(err, SinkError | OSError)
            _log.error("sink failed sink=%s error=%s", self.name, err, exc_info=not expected)


class Delivery:
    """
    Takes chunks from the queue until it is closed; `run` is the thread's body.

    Args:
        queue: where chunks come from.
        normalizer: makes flow columns; used by this thread only.
        lanes: every batch goes to all, in order.
        tick_s: seconds between two `tick`s of the sinks.

    """

    def __init__(
        self,
        queue: HandoverQueue,
        normalizer: Normalizes,
        lanes: Sequence[Lane],
        *,
        tick_s: float = 0.25,
    ) -> None:
        self.lanes = tuple(lanes)
        # Records that our own fault kept from becoming flow columns.
        self.normalize_failed = 0
        # Set to give up: what is queued stays undelivered.
        self.abort = threading.Event()
        self._queue = queue
        self._normalizer = normalizer
        self._tick_s = tick_s
        self._thread = threading.Thread(target=self.run, name="delivery", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def join(self, timeout_s: float) -> bool:
        """Wait for the thread's end; whether it came."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def run(self) -> None:
        """Deliver until the queue is closed and empty, then close the sinks."""
        due = time.monotonic() + self._tick_s
        while not self.abort.is_set():
            chunk = self._queue.take(max(0.0, due - time.monotonic()))
            if chunk is not None:
                self._deliver(chunk)
                self._queue.done(chunk)
            elif self._queue.finished:
                break
            now = time.monotonic()
            if now >= due:
                due = now + self._tick_s
                for lane in self.lanes:
                    lane.tick(now)
        if not self.abort.is_set():
            for lane in self.lanes:
                lane.close()

    def _deliver(self, chunk: Chunk) -> None:
        for records in chunk.runs():
            try:
                if records.layout.options:
                    self._normalizer.learn(records)
                    continue
                flows = self._normalizer.normalize(records)
            except Exception:
                _log.exception("records not normalized records=%d", len(records))
                if not records.layout.options:
                    self.normalize_failed += len(records)
                continue
            for lane in self.lanes:
                lane.write(flows)
