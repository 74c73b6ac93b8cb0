"""
The receive side: datagrams in, decoded records handed over in chunks.

Runs in the thread that owns the sockets; it waits for nothing but datagrams.
"""

import itertools
import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Final

import numpy as np

from clarion.collector.exporters import ExporterCounts
from clarion.collector.handover import Chunk, HandoverQueue
from clarion.net.receive import Receiver
from clarion.wire.batch import DatagramBatch
from clarion.wire.decode import Decoder
from clarion.wire.sequence import SequenceTracker
from clarion.wire.tally import Tally

_log = logging.getLogger(__name__)

# Longest wait for datagrams, seconds: an idle collector wakes once a second.
IDLE_WAIT_S: Final = 1.0
# Octets of pending records after which they are handed over, however few they are.
CHUNK_OCTETS: Final = 8 << 20
# Octets decoded at once: more than a full batch of Ethernet datagrams, so that only batches of
# larger ones are cut, and memory does not follow the size of a datagram.
DECODE_OCTETS: Final = 2 << 20


class Intake:
    """
    Receive, decode, collect, hand over.

    Args:
        receiver: an open receiver.
        decoder: all state of the codec.
        queue: where chunks go; when it is full the newest chunk is dropped and counted.
        chunk_rows: flow records after which a chunk is handed over.
        chunk_s: seconds after which it is handed over whatever it holds.

    """

    def __init__(
        self,
        receiver: Receiver,
        decoder: Decoder,
        queue: HandoverQueue,
        *,
        chunk_rows: int,
        chunk_s: float,
    ) -> None:
        self.receiver = receiver
        self.decoder = decoder
        self.tally = Tally()
        self.exporters = ExporterCounts()
        self.sequence = SequenceTracker()
        self.templates = 0
        self.queue_full = 0
        self.decode_failed = 0
        self.pending = Chunk()
        self._queue = queue
        self._chunk_rows = chunk_rows
        self._chunk_s = chunk_s
        # When the oldest pending records came, monotonic seconds.
        self._since = 0.0

    def run(self, stopped: Callable[[], bool], until: float = float("inf")) -> None:
        """Work until `stopped`, or until monotonic time `until`."""
        while not stopped() and (now := time.monotonic()) < until:
            self.step(min(IDLE_WAIT_S, until - now))

    def step(self, wait_s: float) -> bool:
        """Receive once, waiting up to `wait_s`; hand over what is due. Whether datagrams came."""
        if self.pending.records:
            wait_s = min(wait_s, self._since + self._chunk_s - time.monotonic())
        batch = self.receiver.receive(max(wait_s, 0.001))
        if batch is not None:
            self._take_in(batch, self._hand_over)
        if self.pending.records and time.monotonic() >= self._since + self._chunk_s:
            self._hand_over()
        return batch is not None

    def drain(self, stopped: Callable[[], bool], limit_s: float) -> None:
        """
        Read what waits in the sockets and hand over everything, waiting for room.

        Ends when the sockets are empty, after `limit_s` seconds of reading, or when `stopped`.
        """

        def hand_over() -> None:
            while self.pending.records and not stopped():
                if self._queue.offer(self.pending, wait_s=0.1):
                    self.pending = Chunk()

        until = time.monotonic() + limit_s
        while not stopped() and time.monotonic() < until:
            batch = self.receiver.receive(0)
            if batch is None:
                break
            self._take_in(batch, hand_over)
        hand_over()

    def _take_in(self, batch: DatagramBatch, hand_over: Callable[[], None]) -> None:
        """Decode a batch; call `hand_over` whenever a chunk is full."""
        for part in _parts(batch):
            try:
                decoded = self.decoder.decode(part)
            except Exception:
                # Never on wire data, by the decoder's promise; if it is broken, count and go on.
                self.decode_failed += len(part)
                _log.exception("batch not decoded datagrams=%d", len(part))
                continue
            self.tally += decoded.tally
            self.templates += len(decoded.templates)
            self.exporters.add(decoded, len(self.decoder.sessions))
            self.sequence.observe(decoded)
            if decoded.records:
                if not self.pending.records:
                    self._since = time.monotonic()
                self.pending.add(decoded.records)
                if self.pending.rows >= self._chunk_rows or self.pending.octets >= CHUNK_OCTETS:
                    hand_over()

    def _hand_over(self) -> None:
        """Offer the pending chunk; drop its flow records where the queue is full."""
        chunk, self.pending = self.pending, Chunk()
        if not self._queue.offer(chunk):
            self.queue_full += chunk.rows
            # What options records say still holds for the flows that come later.
            options = chunk.options()
            if options.octets <= CHUNK_OCTETS // 8:
                self.pending = options
                self._since = time.monotonic()


def _parts(batch: DatagramBatch) -> Iterator[DatagramBatch]:
    """Cut a batch into parts of at most about DECODE_OCTETS octets."""
    ends = np.cumsum(batch.length)
    if not len(ends) or ends[-1] <= DECODE_OCTETS:
        yield batch
        return
    cuts = np.flatnonzero(np.diff(ends // DECODE_OCTETS)) + 1
    bounds = [0, *cuts.tolist(), len(ends)]
    for first, end in itertools.pairwise(bounds):
        part = slice(first, end)
        yield replace(
            batch,
            start=batch.start[part],
            length=batch.length[part],
            address=batch.address[part],
            port=batch.port[part],
            receive_ms=batch.receive_ms[part],
        )
