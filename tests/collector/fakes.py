"""Stand-ins for the parts around the one under test."""

import threading

import numpy as np
import pyarrow as pa

from clarion.wire.batch import DatagramBatch
from clarion.wire.constants import V5, V5_RECORD, V9
from clarion.wire.decode import Decoder

ROW = pa.schema([pa.field("n", pa.int64())])


def v5_datagram(records, sequence=0):
    """A NetFlow v5 datagram of that many records, their bytes numbered from 1."""
    head = V5.to_bytes(2, "big") + records.to_bytes(2, "big") + bytes(12)
    head += sequence.to_bytes(4, "big") + bytes(4)
    body = b"".join(
        bytes(20) + (i + 1).to_bytes(4, "big") + bytes(V5_RECORD - 24) for i in range(records)
    )
    return head + body


def v9_datagram(*sets, source=0):
    """A NetFlow v9 datagram of (set id, body)."""
    body = b"".join(
        set_id.to_bytes(2, "big") + (4 + len(octets)).to_bytes(2, "big") + octets
        for set_id, octets in sets
    )
    head = V9.to_bytes(2, "big") + len(sets).to_bytes(2, "big") + bytes(12)
    return head + source.to_bytes(4, "big") + body


def words(*values):
    return b"".join(value.to_bytes(2, "big") for value in values)


# Template 256: bytes (1), 4 octets. Options template 257: scope system, sampling interval (34).
TEMPLATE = (0, words(256, 1, 1, 4))
OPTIONS_TEMPLATE = (1, words(257, 4, 4, 1, 4, 34, 4))


def data(*values):
    return (256, b"".join(value.to_bytes(4, "big") for value in values))


def options(*intervals):
    return (257, b"".join(bytes(4) + value.to_bytes(4, "big") for value in intervals))


def decode(*datagrams, decoder=None):
    """The decoded records of some datagrams."""
    return (decoder or Decoder()).decode(DatagramBatch.of(list(datagrams))).records


class FakeSink:
    """Keeps batches; `hold` makes it acknowledge only at close."""

    def __init__(self, name="fake:", *, hold=False):
        self.name = name
        self.delivered = self.failed = self.pending = 0
        self.hold = hold
        self.batches = []
        self.ticks = 0
        self.closed = False
        self.fault = None
        self.gate = threading.Event()
        self.gate.set()

    def write(self, flows):
        self.gate.wait(30)
        if self.fault is not None:
            raise self.fault
        self.batches.append(flows)
        if self.hold:
            self.pending += len(flows)
        else:
            self.delivered += len(flows)

    def tick(self, now):
        self.ticks += 1

    def close(self):
        self.delivered += self.pending
        self.pending = 0
        self.closed = True


class FakeNormalizer:
    """Rows with the `bytes` of each record; notes the order of what it is given."""

    def __init__(self):
        self.seen = []
        self.fault = None

    def learn(self, records):
        self.seen.append(("learn", records.unsigned(1).tolist()))

    def normalize(self, records):
        if self.fault is not None:
            raise self.fault
        position = records.layout.find(1)
        values = records.unsigned(position).astype(np.int64)
        self.seen.append(("normalize", values.tolist()))
        return pa.record_batch([pa.array(values)], schema=ROW)


class FakeReceiver:
    """Hands out what it was given, then nothing."""

    def __init__(self, batches=()):
        self.batches_left = list(batches)
        self.datagrams = self.octets = self.truncated = self.batches = 0
        self.waits = []

    def receive(self, wait_s):
        self.waits.append(wait_s)
        if not self.batches_left:
            return None
        batch = self.batches_left.pop(0)
        self.datagrams += len(batch)
        self.octets += int(batch.length.sum())
        self.batches += 1
        return batch

    def take_peak_fill(self):
        return 0
