import threading
import time

import pytest

from clarion.collector.delivery import Delivery, Lane
from clarion.collector.handover import Chunk, HandoverQueue
from clarion.errors import SinkError
from clarion.wire.decode import Decoder

from .fakes import (
    OPTIONS_TEMPLATE,
    TEMPLATE,
    FakeNormalizer,
    FakeSink,
    data,
    decode,
    options,
    v9_datagram,
)


class Bench:
    """A delivery with fakes around it."""

    def __init__(self, *sinks, limit=1 << 20):
        self.sinks = sinks or (FakeSink(),)
        self.queue = HandoverQueue(limit)
        self.normalizer = FakeNormalizer()
        self.delivery = Delivery(
            self.queue, self.normalizer, [Lane(sink) for sink in self.sinks], tick_s=0.02
        )
        self.decoder = Decoder()

    def offer(self, *datagrams):
        chunk = Chunk()
        for datagram in datagrams:
            chunk.add(decode(datagram, decoder=self.decoder))
        assert self.queue.offer(chunk)

    def finish(self):
        self.queue.close()
        self.delivery.start()
        assert self.delivery.join(10)


def values(sink):
    return [value for batch in sink.batches for value in batch.column(0).to_pylist()]


def test_every_sink_gets_every_row_and_is_closed():
    bench = Bench(FakeSink("a:"), FakeSink("b:", hold=True))
    bench.offer(v9_datagram(TEMPLATE, data(1, 2)), v9_datagram(data(3)))
    bench.offer(v9_datagram(data(4)))
    bench.finish()

    for lane in bench.delivery.lanes:
        assert values(lane.sink) == [1, 2, 3, 4]
        assert (lane.accepted, lane.delivered, lane.failed, lane.pending) == (4, 4, 0, 0)
        assert lane.sink.closed
    assert len(bench.sinks[0].batches) == 2, "one batch a chunk and layout"
    assert (bench.queue.rows, bench.queue.octets) == (0, 0)


def test_options_are_learned_in_order():
    bench = Bench()
    bench.offer(
        v9_datagram(TEMPLATE, OPTIONS_TEMPLATE, data(1)),
        v9_datagram(options(50), data(2)),
        v9_datagram(data(3)),
    )
    bench.finish()

    assert bench.normalizer.seen == [
        ("normalize", [1]),
        ("learn", [50]),
        ("normalize", [2, 3]),
    ]


def test_sinks_are_ticked_when_nothing_comes():
    bench = Bench()
    bench.delivery.start()
    time.sleep(0.2)
    bench.queue.close()
    assert bench.delivery.join(10)
    assert bench.sinks[0].ticks >= 3


@pytest.mark.parametrize("fault", [SinkError("disk full"), ValueError("a fault of ours")])
def test_sink_that_raises_loses_its_batch_only(fault, caplog):
    broken, sound = FakeSink("broken:"), FakeSink("sound:")
    bench = Bench(broken, sound)
    broken.fault = fault
    bench.offer(v9_datagram(TEMPLATE, data(1, 2)))
    bench.offer(v9_datagram(data(3)))
    bench.finish()

    lost, kept = bench.delivery.lanes
    assert (lost.accepted, lost.delivered, lost.failed) == (3, 0, 3)
    assert (kept.accepted, kept.delivered, kept.failed) == (3, 3, 0)
    assert caplog.text.count("sink failed sink=broken:") == 1, "one line for the same error"


def test_what_a_sink_keeps_after_close_is_lost():
    sink = FakeSink(hold=True)
    sink.close = lambda: (_ for _ in ()).throw(SinkError("disk full"))
    bench = Bench(sink)
    bench.offer(v9_datagram(TEMPLATE, data(1, 2)))
    bench.finish()

    assert bench.delivery.lanes[0].failed == 2


def test_normalizer_that_raises_loses_its_records_only(caplog):
    bench = Bench()
    bench.offer(v9_datagram(TEMPLATE, data(1, 2)))
    bench.normalizer.fault = ZeroDivisionError("a fault of ours")
    bench.finish()

    assert bench.delivery.normalize_failed == 2
    assert bench.sinks[0].closed
    assert "records not normalized records=2" in caplog.text


def test_abort_leaves_what_is_queued():
    sink = FakeSink()
    sink.gate.clear()
    bench = Bench(sink)
    bench.offer(v9_datagram(TEMPLATE, data(1)))
    bench.offer(v9_datagram(data(2)))
    bench.delivery.start()
    bench.delivery.abort.set()
    assert not bench.delivery.join(0.05), "still inside the sink"
    sink.gate.set()
    assert bench.delivery.join(10)

    assert values(sink) == [1]
    assert bench.queue.rows == 1
    assert not sink.closed


def test_the_thread_ends_with_its_queue():
    before = threading.active_count()
    Bench().finish()
    assert threading.active_count() == before
