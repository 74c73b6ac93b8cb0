"""Framing and field encoding as real exporters send them: the values and the counters."""

import struct

import pytest

from clarion.wire.constants import PEN_V9_SCOPE, VARIABLE
from clarion.wire.faults import Fault
from tests.handmade import (
    IPFIX_PORTS,
    V9_PORTS,
    decode,
    faults,
    fields,
    ipfix,
    one_set,
    template,
    v5,
    v9,
    values,
)

# Framing


def test_v9_sets_are_walked_by_length_whatever_the_count_says():
    data = one_set(256, b"\0\1\0\2\0\3\0\4")
    for count in (0, 1, 3, 65535):
        decoded = decode(v9(V9_PORTS, data, count=count))
        assert values(decoded) == [(1, 2), (3, 4)]
        assert decoded.tally.template_sets == decoded.tally.data_sets == 1
        assert not len(decoded.faults)


def test_the_ipfix_length_ends_the_message():
    decoded = decode(ipfix(IPFIX_PORTS, one_set(256, b"\0\1\0\2"), tail=one_set(256, b"\0\3\0\4")))
    assert values(decoded) == [(1, 2)]
    assert decoded.tally.octets_trailing == 8
    assert not len(decoded.faults)


def test_an_ipfix_message_cut_short_keeps_its_whole_sets():
    whole = ipfix(IPFIX_PORTS, one_set(256, b"\0\1\0\2"), one_set(256, b"\0\3\0\4"))
    decoded = decode(whole[:-2])
    assert values(decoded) == [(1, 2)]
    assert faults(decoded) == [Fault.LENGTH_MISMATCH, Fault.SET_OVERRUN]
    assert decoded.tally.octets_malformed == 6
    assert decoded.tally.sets_rejected == 1


def test_v5_takes_the_records_counted_that_came():
    decoded = decode(v5(2, 2), v5(2, 1), v5(2, 3, b"\0" * 47))
    assert decoded.tally.records == 5
    assert decoded.tally.datagrams_v5 == decoded.tally.data_sets == 3
    assert decoded.tally.octets_record == 5 * 48
    assert decoded.tally.octets_trailing == 48 + 47
    assert faults(decoded) == [Fault.COUNT_MISMATCH]


@pytest.mark.parametrize(
    ("payload", "fault"),
    [
        (b"", Fault.BAD_VERSION),
        (b"\0", Fault.BAD_VERSION),
        (b"\0\6" + bytes(60), Fault.BAD_VERSION),
        (v5(0, 0)[:23], Fault.SHORT_HEADER),
        (v9()[:19], Fault.SHORT_HEADER),
        (ipfix()[:15], Fault.SHORT_HEADER),
        (ipfix(IPFIX_PORTS, length=15), Fault.SHORT_HEADER),
    ],
)
def test_a_datagram_without_a_usable_header_is_malformed(payload, fault):
    decoded = decode(payload)
    assert decoded.tally.malformed == 1
    assert decoded.tally.octets == decoded.tally.octets_malformed == len(payload)
    assert fault in faults(decoded)
    assert decoded.headers.version.tolist() == [0]


def test_fields_are_not_aligned():
    pairs = [(4, 1), (8, 4), (60, 1), (1, 8), (5, 1)]
    body = b"\6" + b"\x0a\0\0\1" + b"\4" + b"\0\0\0\0\0\0\1\0" + b"\xb8"
    decoded = decode(ipfix(one_set(2, template(256, *pairs)), one_set(256, body * 2)))
    assert values(decoded) == [(6, 0x0A000001, 4, 256, 0xB8)] * 2


@pytest.mark.parametrize("padding", [b"\0", b"\0\0\0", b"\1\2\3", b"\xff\xff\xff"])
def test_a_set_may_end_in_padding_shorter_than_a_record_zero_or_not(padding):
    decoded = decode(v9(V9_PORTS, one_set(256, b"\0\1\0\2" + padding)))
    assert values(decoded) == [(1, 2)]
    assert decoded.tally.octets_padding == len(padding)
    assert not len(decoded.faults)


def test_a_zero_filled_tail_ends_the_walk_and_keeps_what_came_before():
    decoded = decode(v9(V9_PORTS, one_set(256, b"\0\1\0\2"), tail=bytes(64)))
    assert values(decoded) == [(1, 2)]
    assert decoded.tally.octets_trailing == 64
    assert faults(decoded) == [Fault.BAD_SET_LENGTH]


@pytest.mark.parametrize("length", [0, 1, 2, 3])
def test_a_set_length_that_cannot_advance_ends_the_datagram(length):
    bad = one_set(256, b"\0\3\0\4", length=length)
    first = ipfix(IPFIX_PORTS, one_set(256, b"\0\1\0\2"), bad)
    decoded = decode(first, ipfix(one_set(256, b"\0\5\0\6")))
    assert values(decoded) == [(1, 2), (5, 6)]
    assert decoded.tally.octets_trailing == len(bad)
    assert decoded.tally.sets_rejected == 1
    assert faults(decoded) == [Fault.BAD_SET_LENGTH]


def test_an_empty_set_is_a_set():
    decoded = decode(ipfix(IPFIX_PORTS, one_set(256), one_set(2), one_set(256, b"\0\1\0\2")))
    assert values(decoded) == [(1, 2)]
    assert (decoded.tally.sets, decoded.tally.data_sets) == (4, 2)
    assert not len(decoded.faults)


def test_a_set_past_the_end_is_rejected_alone():
    decoded = decode(v9(V9_PORTS, one_set(256, b"\0\1\0\2"), one_set(256, b"\0\3\0\4", length=9)))
    assert values(decoded) == [(1, 2)]
    assert decoded.tally.octets_malformed == 8
    assert decoded.tally.sets_rejected == 1
    assert faults(decoded) == [Fault.SET_OVERRUN]


@pytest.mark.parametrize(
    ("message", "templates", "ids"),
    [(v9, V9_PORTS, (2, 3, 255)), (ipfix, IPFIX_PORTS, (0, 1, 4, 255))],
)
def test_reserved_sets_are_skipped_and_counted(message, templates, ids):
    reserved = [one_set(set_id, b"\0\1\0\2") for set_id in ids]
    decoded = decode(message(templates, *reserved, one_set(256, b"\0\1\0\2")))
    assert values(decoded) == [(1, 2)]
    assert decoded.tally.sets_reserved == len(ids)
    assert decoded.tally.octets_reserved == 4 * len(ids)
    assert faults(decoded) == [Fault.RESERVED_SET] * len(ids)


def test_the_largest_datagrams_are_decoded_whole():
    records = (65535 - 16 - len(IPFIX_PORTS) - 4) // 4
    decoded = decode(ipfix(IPFIX_PORTS, one_set(256, b"\0\1\0\2" * records)))
    assert decoded.tally.records == records
    assert decoded.tally.octets == decoded.tally.octets_header + 8 + 12 + 4 * records


@pytest.mark.parametrize("pairs", [[(210, 0)], [(7, 0), (11, 0)]])
def test_records_without_octets_are_counted_not_looped_on(pairs):
    empty = one_set(0, template(256, *pairs))
    decoded = decode(v9(empty, one_set(256, bytes(8)), one_set(256)))
    assert decoded.records == []
    assert decoded.tally.sets_zero_length == 2
    assert decoded.tally.octets_zero_length == 8
    assert faults(decoded) == [Fault.ZERO_LENGTH_RECORD] * 2


# Fields


@pytest.mark.parametrize("length", range(1, 9))
def test_integers_have_any_length_from_one_to_eight(length):
    value = int.from_bytes(bytes(range(0xF8, 0xF8 + length)))
    for message, set_id in ((v9, 0), (ipfix, 2)):
        announced = one_set(set_id, template(256, (4, 1), (1, length), (5, 1)))
        octets = b"\x11" + value.to_bytes(length) + b"\x22"
        assert values(decode(message(announced, one_set(256, octets * 3)))) == [(17, value, 34)] * 3


@pytest.mark.parametrize(("message", "set_id"), [(v9, 0), (ipfix, 2)])
def test_a_variable_length_is_one_octet_or_255_and_two_in_v9_too(message, set_id):
    announced = one_set(set_id, template(256, (4, 1), (82, VARIABLE), (5, 1)))
    contents = [b"", b"a", b"b" * 254, b"c" * 255, b"d" * 600]
    short = [b"\1" + bytes([len(c)]) + c + b"\2" for c in contents if len(c) < 255]
    long = [b"\1\xff" + struct.pack("!H", len(c)) + c + b"\2" for c in contents]
    decoded = decode(message(announced, one_set(256, b"".join(short + long))))
    wanted = [c for c in contents if len(c) < 255] + contents
    assert values(decoded) == [(1, content, 2) for content in wanted]
    assert decoded.tally.octets_padding == 0


def test_a_variable_length_past_the_set_ends_the_set_not_the_datagram():
    announced = one_set(2, template(256, (4, 1), (82, VARIABLE)))
    bad = one_set(256, b"\1\2ab" + b"\2\x09cd")
    decoded = decode(ipfix(announced, bad, one_set(256, b"\3\1e")))
    assert values(decoded) == [(1, b"ab"), (3, b"e")]
    assert decoded.tally.octets_malformed == 4
    assert decoded.tally.data_sets == 2
    assert faults(decoded) == [Fault.RECORD_OVERRUN]


@pytest.mark.parametrize("rest", [b"\2\xff", b"\2\xff\0", b"\2\xff\0\1", b"\2\1"])
def test_a_variable_length_cut_anywhere_ends_the_set(rest):
    announced = one_set(2, template(256, (4, 1), (82, VARIABLE)))
    decoded = decode(ipfix(announced, one_set(256, b"\1\1a" + rest)))
    assert values(decoded) == [(1, b"a")]
    assert decoded.tally.octets_malformed == len(rest)
    assert faults(decoded) == [Fault.RECORD_OVERRUN]


def test_lists_are_skipped_exactly():
    pairs = [(291, VARIABLE), (292, VARIABLE), (293, VARIABLE), (7, 2)]
    body = b"\3abc" + b"\0" + b"\xff\0\2de" + b"\0\x35"
    decoded = decode(ipfix(one_set(2, template(256, *pairs)), one_set(256, body * 2)))
    assert values(decoded) == [(b"abc", b"", b"de", 53)] * 2


def test_ipfix_elements_with_bit_15_have_an_enterprise_number():
    body = struct.pack("!HHHHIHH", 256, 2, 0x8000 | 1232, 2, 9, 7, 2)
    decoded = decode(ipfix(one_set(2, body), one_set(256, b"\0\1\0\2")))
    (records,) = decoded.records
    assert [tuple(f) for f in records.layout.fields] == [(9, 1232, 2), (0, 7, 2)]
    assert (records.layout.find(1232, 9), records.layout.find(1232)) == (0, -1)
    assert values(decoded) == [(1, 2)]


def test_v9_elements_with_bit_15_have_none():
    announced = one_set(0, template(256, (34000, 2), (33002, 2)))
    decoded = decode(v9(announced, one_set(256, b"\0\1\0\2")))
    (records,) = decoded.records
    assert [tuple(f) for f in records.layout.fields] == [(0, 34000, 2), (0, 33002, 2)]
    assert values(decoded) == [(1, 2)]


def test_an_element_may_come_twice():
    announced = one_set(0, template(256, (82, 2), (7, 2), (82, 2)))
    decoded = decode(v9(announced, one_set(256, b"\0\1\0\2\0\3")))
    (records,) = decoded.records
    assert records.layout.positions[0, 82] == (0, 2)
    assert values(decoded) == [(1, 2, 3)]


def test_v9_options_have_scopes_of_their_own_kind_or_none():
    scoped = struct.pack("!HHH", 257, 4, 4) + fields((1, 4), (34, 4))
    bare = struct.pack("!HHH", 258, 0, 4) + fields((34, 4))
    data = [one_set(257, b"\0\0\0\1\0\0\0\2"), one_set(258, b"\0\0\0\3")]
    decoded = decode(v9(one_set(1, scoped + bare), *data))
    assert values(decoded) == [(1, 2), (3,)]
    assert decoded.tally.options_records == 2
    assert decoded.tally.records == 0
    layouts = {records.layout.scope_count: records.layout for records in decoded.records}
    assert layouts[1].fields[0].pen == PEN_V9_SCOPE
    assert all(layout.options for layout in layouts.values())
