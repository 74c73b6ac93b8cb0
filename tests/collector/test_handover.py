import threading
import time

from clarion.collector.handover import Chunk, HandoverQueue
from clarion.wire.decode import Decoder

from .fakes import OPTIONS_TEMPLATE, TEMPLATE, data, decode, options, v5_datagram, v9_datagram


def chunk_of(*datagrams, decoder=None):
    chunk = Chunk()
    chunk.add(decode(*datagrams, decoder=decoder))
    return chunk


def test_chunk_counts_flow_rows_and_memory():
    chunk = chunk_of(v5_datagram(3), v9_datagram(OPTIONS_TEMPLATE, options(7)))

    assert chunk.rows == 3
    assert chunk.octets == sum(records.nbytes for records in chunk.records)
    assert [records.layout.options for records in chunk.options().records] == [True]
    assert chunk.options().rows == 0


def test_runs_put_a_layout_together_between_options():
    decoder = Decoder()
    chunk = Chunk()
    for datagram in (
        v9_datagram(TEMPLATE, OPTIONS_TEMPLATE, data(1)),
        v5_datagram(2),
        v9_datagram(data(2, 3)),
        v9_datagram(options(100), data(4)),
        v9_datagram(data(5)),
        v5_datagram(1),
    ):
        chunk.add(decode(datagram, decoder=decoder))

    shape = [
        (records.layout.version, records.layout.options, len(records)) for records in chunk.runs()
    ]

    assert shape == [(9, False, 3), (5, False, 2), (9, True, 1), (9, False, 2), (5, False, 1)]
    assert sum(len(r) for r in chunk.runs() if not r.layout.options) == chunk.rows == 8


def test_queue_keeps_order_and_counts_until_done():
    queue = HandoverQueue(1 << 20)
    first, second = chunk_of(v5_datagram(1)), chunk_of(v5_datagram(2))

    assert queue.offer(first)
    assert queue.offer(second)
    assert queue.rows == 3
    assert queue.take(0) is first
    assert queue.rows == 3
    queue.done(first)
    assert (queue.rows, queue.octets) == (2, second.octets)
    assert queue.take(0) is second
    assert queue.take(0) is None


def test_full_queue_says_no_at_once():
    chunk = chunk_of(v5_datagram(30))
    queue = HandoverQueue(chunk.octets * 2)

    assert queue.offer(chunk)
    assert queue.offer(chunk)
    began = time.perf_counter()
    assert not queue.offer(chunk)
    assert time.perf_counter() - began < 0.1
    assert queue.octets == queue.peak_octets == queue.limit
    taken = queue.take(0)
    assert not queue.offer(chunk), "what is being delivered still counts"
    queue.done(taken)
    assert queue.offer(chunk)


def test_chunk_larger_than_the_queue_is_taken_alone():
    chunk = chunk_of(v5_datagram(30))
    queue = HandoverQueue(10)

    assert queue.offer(chunk)
    assert not queue.offer(chunk_of(v5_datagram(1)))


def test_offer_may_wait_for_room():
    chunk = chunk_of(v5_datagram(1))
    queue = HandoverQueue(10)
    queue.offer(chunk)
    assert not queue.offer(chunk, wait_s=0.05)
    timer = threading.Timer(0.05, lambda: queue.done(queue.take(0)))
    timer.start()
    assert queue.offer(chunk, wait_s=10)
    timer.join()


def test_close_ends_the_wait_of_the_taker():
    queue = HandoverQueue(10)
    queue.offer(chunk_of(v5_datagram(1)))
    queue.close()

    assert not queue.finished
    assert queue.take(10) is not None
    assert queue.finished
    assert queue.take(10) is None
