import time

import numpy as np
import pytest

from clarion.collector import pipeline
from clarion.collector.handover import HandoverQueue
from clarion.collector.pipeline import Intake
from clarion.wire.batch import DatagramBatch
from clarion.wire.decode import Decoder

from .fakes import OPTIONS_TEMPLATE, FakeReceiver, options, v5_datagram, v9_datagram


def intake_of(*batches, limit=1 << 24, rows=10, seconds=60.0):
    receiver = FakeReceiver([DatagramBatch.of(list(batch)) for batch in batches])
    queue = HandoverQueue(limit)
    return Intake(receiver, Decoder(), queue, chunk_rows=rows, chunk_s=seconds), queue


def taken(queue):
    chunks = []
    while (chunk := queue.take(0)) is not None:
        chunks.append(chunk)
        queue.done(chunk)
    return chunks


def never():
    return False


def test_hands_over_when_there_are_rows_enough():
    intake, queue = intake_of([v5_datagram(4)], [v5_datagram(5)], [v5_datagram(6)])
    for _ in range(3):
        assert intake.step(0.01)

    assert [chunk.rows for chunk in taken(queue)] == [15]
    assert intake.tally.records == 15


def test_hands_over_when_time_is_up_without_more_datagrams():
    intake, queue = intake_of([v5_datagram(4)], seconds=0.03)
    assert intake.step(0.001)
    assert taken(queue) == []
    time.sleep(0.04)
    assert not intake.step(1.0)

    assert [chunk.rows for chunk in taken(queue)] == [4]
    assert intake.receiver.waits[-1] <= 0.03, "it does not sleep past the time"


def test_idle_wait_is_long():
    intake, _ = intake_of()
    intake.step(pipeline.IDLE_WAIT_S)

    assert intake.receiver.waits == [1.0]


def test_full_queue_drops_the_newest_and_counts():
    intake, queue = intake_of(
        [v5_datagram(10)], [v5_datagram(10)], [v5_datagram(11)], limit=1000, rows=10
    )
    for _ in range(3):
        intake.step(0.01)

    assert [chunk.rows for chunk in taken(queue)] == [10]
    assert intake.queue_full == 21
    assert intake.pending.rows == 0
    assert intake.tally.records == 31


def test_options_survive_a_full_queue():
    first = v9_datagram(OPTIONS_TEMPLATE, options(100))
    intake, queue = intake_of(
        [v5_datagram(20)] * 50, [first, *[v5_datagram(10)] * 50], limit=10_000, rows=10
    )
    intake.step(0.01)
    intake.step(0.01)

    assert intake.queue_full == 500
    assert [records.layout.options for records in intake.pending.records] == [True]
    taken(queue)
    intake.drain(never, 1.0)
    assert [records.layout.options for records in taken(queue)[0].records] == [True]


def test_drain_reads_all_and_waits_for_room():
    intake, queue = intake_of(*[[v5_datagram(10)]] * 5, limit=1000)
    seen = []

    def stopped():
        seen.extend(taken(queue))
        return False

    intake.drain(stopped, 10.0)
    seen.extend(taken(queue))

    assert sum(chunk.rows for chunk in seen) == 50
    assert intake.queue_full == 0
    assert intake.pending.rows == 0


def test_drain_is_bounded_in_time_and_by_the_second_signal():
    intake, queue = intake_of(*[[v5_datagram(1)]] * 3)
    intake.drain(never, 0.0)
    assert intake.tally.records == 0

    intake.drain(lambda: True, 10.0)
    assert intake.tally.records == 0
    assert taken(queue) == []


def test_run_ends_at_its_time_and_when_stopped():
    intake, _ = intake_of()
    intake.run(lambda: True)
    assert intake.receiver.waits == []
    intake.run(never, time.monotonic() + 0.05)
    assert 0 < max(intake.receiver.waits) <= 0.05


def test_decoder_that_raises_is_counted(caplog):
    intake, _ = intake_of([b"any"] * 3)

    def broken(batch):
        raise ZeroDivisionError

    intake.decoder.decode = broken
    intake.step(0.01)

    assert intake.decode_failed == 3
    assert "batch not decoded datagrams=3" in caplog.text


def test_any_octets_end_in_one_bucket():
    random = np.random.default_rng(1)
    batch = [random.bytes(n) for n in range(200)] + [v5_datagram(2)]
    intake, _ = intake_of(batch)
    intake.step(0.01)

    tally = intake.tally
    known = tally.datagrams_v5 + tally.datagrams_v9 + tally.datagrams_ipfix
    assert known + tally.malformed + tally.refused == 201


@pytest.mark.parametrize(
    "sizes", [[], [0], [10, 20], [65_507] * 100, [65_507, 0, 1400] * 60, [65_535] * 32]
)
def test_large_batches_are_decoded_in_parts(sizes):
    batch = DatagramBatch.of([bytes(size) for size in sizes])

    parts = list(pipeline._parts(batch))

    assert [int(n) for part in parts for n in part.length] == sizes
    assert all(len(part) for part in parts) or not sizes
    for part in parts:
        assert int(part.length.sum()) <= pipeline.DECODE_OCTETS + 65_535
