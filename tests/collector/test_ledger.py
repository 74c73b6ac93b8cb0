import pytest

from clarion.collector.delivery import Delivery, Lane
from clarion.collector.handover import HandoverQueue
from clarion.collector.ledger import BUCKETS, Ledger
from clarion.collector.pipeline import Intake
from clarion.wire.batch import DatagramBatch
from clarion.wire.decode import Decoder

from .fakes import (
    TEMPLATE,
    FakeNormalizer,
    FakeReceiver,
    FakeSink,
    data,
    v9_datagram,
)


def bench(*sinks, batches=(), limit=1 << 20, rows=2):
    receiver = FakeReceiver([DatagramBatch.of(list(batch)) for batch in batches])
    queue = HandoverQueue(limit)
    intake = Intake(receiver, Decoder(), queue, chunk_rows=rows, chunk_s=60.0)
    delivery = Delivery(queue, FakeNormalizer(), [Lane(sink) for sink in sinks])
    return Ledger(listeners=[], intake=intake, queue=queue, delivery=delivery)


def assert_closes(ledger):
    account = ledger.account()
    lost = sum(n for name, n in account.losses.items() if BUCKETS[name].unit == "records")
    assert account.received == account.delivered + account.in_flight + lost
    assert account.in_flight == ledger.held()
    assert ledger.summary()["unaccounted"] == 0
    return account


def test_every_bucket_has_a_unit_and_a_meaning():
    ledger = bench(FakeSink())

    assert list(ledger.account().losses) == list(BUCKETS)
    assert {bucket.unit for bucket in BUCKETS.values()} == {"datagrams", "sets", "records"}
    assert all(bucket.meaning for bucket in BUCKETS.values())


def test_closes_at_every_stage():
    sink = FakeSink(hold=True)
    ledger = bench(sink, batches=[[v9_datagram(TEMPLATE, data(1))], [v9_datagram(data(2, 3))]])
    intake, delivery = ledger.intake, ledger.delivery

    assert_closes(ledger)
    intake.step(0.01)
    assert assert_closes(ledger).in_flight == intake.pending.rows == 1
    intake.step(0.01)
    assert assert_closes(ledger).in_flight == ledger.queue.rows == 3
    chunk = ledger.queue.take(0)
    delivery._deliver(chunk)
    ledger.queue.done(chunk)
    assert assert_closes(ledger).in_flight == sink.pending == 3
    sink.close()
    account = assert_closes(ledger)
    assert (account.received, account.delivered, account.in_flight) == (3, 3, 0)


def test_closes_with_losses_of_every_kind():
    broken, sound = FakeSink(), FakeSink()
    ledger = bench(
        broken,
        sound,
        batches=[
            [v9_datagram(TEMPLATE, data(1, 2))],
            [v9_datagram(data(*range(60)))],
            [v9_datagram(data(3)), b"malformed", v9_datagram((999, bytes(4)))],
        ],
        limit=1000,
    )
    intake, delivery = ledger.intake, ledger.delivery
    intake.step(0.01)
    intake.step(0.01)
    intake.step(0.01)
    intake.drain(lambda: False, 0) if intake.pending.rows == 0 else None
    broken.fault = OSError("no space left")
    ledger.queue.close()
    delivery.start()
    assert delivery.join(10)
    account = assert_closes(ledger)

    assert account.losses["sink_failed"] == account.received - account.losses["queue_full"] - 1
    assert account.losses["malformed"] == 1
    summary = ledger.summary()
    assert summary["losses"]["no_template"] == 1, "a set that waits at the end is lost"
    assert summary["in_flight"] == 1, "one row still pending in the receive side"


@pytest.mark.parametrize("order", [1, -1])
def test_delivered_is_what_every_sink_acknowledged(order):
    fast, slow = FakeSink("fast:"), FakeSink("slow:", hold=True)
    ledger = bench(*[fast, slow][::order], batches=[[v9_datagram(TEMPLATE, data(1, 2))]])
    ledger.intake.step(0.01)
    chunk = ledger.queue.take(0)
    ledger.delivery._deliver(chunk)
    ledger.queue.done(chunk)

    assert assert_closes(ledger).delivered == 0
    shown = {one["sink"]: one for one in ledger.summary()["sinks"]}
    assert (shown["fast:"]["delivered"], shown["slow:"]["pending"]) == (2, 2)


def test_summary_has_the_names_of_the_contract():
    summary = bench(FakeSink()).summary()

    assert summary["event"] == "summary"
    wanted = {"datagrams_received", "records_received", "records_delivered", "in_flight", "losses"}
    assert wanted <= summary.keys()
    assert summary["loss_units"].keys() == summary["losses"].keys()
