from clarion.collector.exporters import ExporterCounts
from clarion.wire.batch import V4_MAPPED_PREFIX, DatagramBatch
from clarion.wire.decode import Decoder

from .fakes import TEMPLATE, data, v5_datagram, v9_datagram


def mapped(*octets):
    return V4_MAPPED_PREFIX + bytes(octets)


def test_counts_by_address_over_versions_and_domains():
    decoder, counts = Decoder(), ExporterCounts()
    payloads = [
        v5_datagram(3),
        v9_datagram(TEMPLATE, data(1, 2), source=1),
        v9_datagram(TEMPLATE, data(1), source=2),
        v5_datagram(7),
        b"malformed",
    ]
    one, two = mapped(10, 0, 0, 1), bytes(15) + b"\1"
    batch = DatagramBatch.of(payloads, address=[one, one, one, two, two])
    for _ in range(2):
        counts.add(decoder.decode(batch), len(decoder.sessions))

    assert counts.top(decoder.sessions) == [
        {"exporter": "10.0.0.1", "datagrams": 6, "records": 12},
        {"exporter": "::1", "datagrams": 2, "records": 14},
    ]
    assert len(counts.top(decoder.sessions, limit=1)) == 1


def test_grows_with_the_sessions():
    decoder, counts = Decoder(), ExporterCounts()
    addresses = [mapped(10, 0, i // 256, i % 256) for i in range(1000)]
    batch = DatagramBatch.of([v5_datagram(1)] * 1000, address=addresses)
    counts.add(decoder.decode(batch), len(decoder.sessions))

    assert int(counts.records.sum()) == int(counts.datagrams.sum()) == 1000


def test_records_that_waited_count_for_their_exporter():
    decoder, counts = Decoder(), ExporterCounts()
    for datagram in (v9_datagram(data(1, 2)), v5_datagram(1), v9_datagram(TEMPLATE)):
        batch = DatagramBatch.of([datagram], address=mapped(10, 0, 0, 9))
        counts.add(decoder.decode(batch), len(decoder.sessions))

    assert counts.top(decoder.sessions) == [{"exporter": "10.0.0.9", "datagrams": 3, "records": 3}]
