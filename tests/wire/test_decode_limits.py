"""What the decoder keeps and how long it takes is bounded, whoever sends what."""

import struct
import time
import tracemalloc

from clarion.wire.decode import Decoder, Limits
from clarion.wire.faults import Fault
from tests.handmade import (
    IPFIX_PORTS,
    V9_PORTS,
    decode,
    faults,
    ipfix,
    one_set,
    template,
    v9,
    values,
)

ONE_TWO = one_set(256, b"\0\1\0\2")


def test_what_waits_too_long_is_forgotten_and_only_that():
    decoder = Decoder(Limits(waiting_ms=1000))
    first = decode(v9(ONE_TWO), decoder=decoder, receive_ms=0)
    second = decode(v9(one_set(256, b"\0\3\0\4")), decoder=decoder, receive_ms=900)
    third = decode(v9(), decoder=decoder, receive_ms=1500)
    fourth = decode(v9(V9_PORTS), decoder=decoder, receive_ms=1600)
    assert values(fourth) == [(3, 4)]
    tally = first.tally + second.tally + third.tally + fourth.tally
    assert (tally.sets_kept, tally.sets_expired, tally.sets_recovered) == (2, 1, 1)
    assert (tally.sets_waiting, tally.sets_lost) == (0, 1)


def test_data_without_templates_takes_no_more_memory_than_its_limit():
    decoder = Decoder(Limits(waiting_octets=10_000))
    decoded = decode(*[v9(one_set(300, bytes(100)))] * 50, decoder=decoder)
    assert decoder.waiting_octets <= 10_000
    tally = decoded.tally
    assert 0 < tally.sets_kept < 50
    assert (tally.sets_no_template, tally.sets_lost) == (50, 50 - tally.sets_kept)


def test_templates_and_sessions_are_limited():
    decoder = Decoder(Limits(templates_per_session=2, fields_per_template=2, sessions=2))
    three = b"".join(template(n, (7, 2)) for n in (256, 257, 258))
    decoded = decode(v9(one_set(0, three)), decoder=decoder)
    assert faults(decoded) == [Fault.TEMPLATE_LIMIT]
    decoded = decode(v9(one_set(0, template(256, *[(7, 2)] * 3)), domain=8), decoder=decoder)
    assert faults(decoded) == [Fault.TEMPLATE_LIMIT]
    refused = decode(v9(V9_PORTS, domain=9), v9(domain=7), decoder=decoder)
    assert faults(refused) == [Fault.TOO_MANY_SESSIONS]
    assert (refused.tally.refused, refused.tally.datagrams_v9) == (1, 1)


def test_templates_out_of_use_are_forgotten_and_those_in_use_are_not():
    decoder = Decoder()
    decode(ipfix(IPFIX_PORTS), decoder=decoder)
    for element in range(1000):
        again = one_set(2, template(257, (element, 4)))
        decode(ipfix(again, domain=8), decoder=decoder)
    decoded = decode(ipfix(ONE_TWO), ipfix(one_set(257, b"\0\0\0\5"), domain=8), decoder=decoder)
    assert values(decoded) == [(1, 2), (5,)]
    assert decoded.records[-1].layout.fields[0].element == 999


def test_a_set_full_of_withdrawals_takes_linear_time():
    decoder = Decoder()
    many = b"".join(template(n, (7, 2)) for n in range(256, 4000))
    decode(ipfix(one_set(2, many)), decoder=decoder)
    started = time.process_time()
    decode(ipfix(one_set(3, struct.pack("!HH", 3, 0) * 16_000)), decoder=decoder)
    assert time.process_time() - started < 1.0


def test_template_sets_that_never_repeat_leave_little_behind():
    decoder = Decoder()
    tracemalloc.start()
    try:
        for first in range(12):
            ids = range(256 + first, 8256 + first)
            body = b"".join(struct.pack("!HH", template_id, 0) for template_id in ids)
            decode(ipfix(one_set(2, body)), decoder=decoder)
        assert tracemalloc.get_traced_memory()[0] < 4 << 20
    finally:
        tracemalloc.stop()
