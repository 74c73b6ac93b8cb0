"""The life of templates as real exporters lead it: the values and the counters."""

import struct

import pytest

from clarion.wire.decode import Decoder
from clarion.wire.faults import Fault
from tests.handmade import (
    EXPORTER,
    IPFIX_PORTS,
    OTHER,
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

ONE_TWO = one_set(256, b"\0\1\0\2")
AS_ONE = template(256, (1, 4))  # the same octets read as one number: 65538
BOTH = pytest.mark.parametrize(("message", "set_id"), [(v9, 0), (ipfix, 2)])


def announce(set_id: int) -> bytes:
    return V9_PORTS if set_id == 0 else IPFIX_PORTS


@BOTH
def test_a_template_holds_for_one_address_version_and_domain(message, set_id):
    decoder = Decoder()
    decode(message(announce(set_id)), decoder=decoder)
    assert values(decode(message(ONE_TWO), decoder=decoder, address=EXPORTER)) == [(1, 2)]
    other_version = ipfix if message is v9 else v9
    for stranger in (
        decode(message(ONE_TWO), decoder=decoder, address=OTHER),
        decode(message(ONE_TWO, domain=8), decoder=decoder),
        decode(other_version(ONE_TWO), decoder=decoder),
    ):
        assert stranger.records == []
        assert stranger.tally.sets_no_template == 1
    assert len(decoder.sessions) == 4


@BOTH
def test_an_exporter_that_changes_its_port_keeps_its_templates(message, set_id):
    decoder = Decoder()
    decode(message(announce(set_id)), decoder=decoder, port=1000)
    assert values(decode(message(ONE_TWO), decoder=decoder, port=2000)) == [(1, 2)]


@BOTH
def test_one_id_means_different_things_to_different_domains_in_one_batch(message, set_id):
    decoded = decode(
        message(announce(set_id), domain=1),
        message(one_set(set_id, AS_ONE), domain=2),
        message(ONE_TWO, domain=1),
        message(ONE_TWO, domain=2),
    )
    assert values(decoded) == [(1, 2), (65538,)]


@BOTH
def test_templates_and_data_come_in_any_order_in_a_datagram(message, set_id):
    many = one_set(set_id, template(256, (7, 2), (11, 2)) + template(257, (1, 4)))
    decoded = decode(message(many, one_set(257, b"\0\0\0\5"), ONE_TWO, one_set(257, b"\0\0\0\6")))
    assert values(decoded) == [(5,), (1, 2), (6,)]
    assert decoded.tally.template_sets == 1
    assert decoded.tally.data_sets == 3
    assert [event.template_id for event in decoded.templates] == [256, 257]


@BOTH
def test_a_redefinition_holds_for_the_sets_behind_it(message, set_id):
    again = one_set(set_id, AS_ONE)
    decoded = decode(message(announce(set_id), ONE_TWO, again, ONE_TWO), message(ONE_TWO))
    assert values(decoded) == [(1, 2), (65538,), (65538,)]
    assert decoded.tally.octets_no_template == 0


def test_templates_and_options_templates_share_their_ids():
    options = struct.pack("!HHH", 256, 2, 1) + fields((149, 2), (34, 2))
    decoded = decode(ipfix(IPFIX_PORTS, ONE_TWO, one_set(3, options), ONE_TWO))
    assert values(decoded) == [(1, 2), (1, 2)]
    assert (decoded.tally.records, decoded.tally.options_records) == (1, 1)


@BOTH
def test_a_redefinition_that_is_malformed_deletes_the_template(message, set_id):
    cut = one_set(set_id, template(256, (7, 2), (11, 2))[:-1])
    decoded = decode(message(announce(set_id), ONE_TWO, cut, ONE_TWO))
    assert values(decoded) == [(1, 2)]
    assert faults(decoded) == [Fault.BAD_TEMPLATE, Fault.NO_TEMPLATE]
    assert decoded.tally.sets_no_template == 1


@pytest.mark.parametrize("scopes", [0, 3])
def test_an_ipfix_options_template_with_impossible_scopes_is_deleted_and_stepped_over(scopes):
    bad = struct.pack("!HHH", 256, 2, scopes) + fields((149, 2), (34, 2))
    good = struct.pack("!HHH", 257, 1, 1) + fields((149, 4))
    sets = (one_set(3, bad + good), ONE_TWO, one_set(257, b"\0\0\0\7"))
    decoded = decode(ipfix(IPFIX_PORTS, *sets))
    assert values(decoded) == [(7,)]
    assert sorted(faults(decoded)) == [Fault.BAD_TEMPLATE, Fault.NO_TEMPLATE]


def test_v9_options_lengths_are_multiples_of_four():
    bad = struct.pack("!HHH", 256, 4, 6) + fields((1, 4), (34, 4)) + b"\0\0"
    decoded = decode(v9(V9_PORTS, one_set(1, bad), ONE_TWO))
    assert decoded.records == []
    assert sorted(faults(decoded)) == [Fault.BAD_TEMPLATE, Fault.NO_TEMPLATE]


@BOTH
@pytest.mark.parametrize("padding", [b"\0", b"\0\0\0", b"\0\0\0\0", bytes(12), b"\1\2\3"])
def test_padding_behind_templates_is_no_template(message, set_id, padding):
    decoded = decode(message(one_set(set_id, template(256, (7, 2), (11, 2)) + padding), ONE_TWO))
    assert values(decoded) == [(1, 2)]
    assert not len(decoded.faults)


@BOTH
def test_template_ids_below_256_are_refused(message, set_id):
    decoded = decode(message(one_set(set_id, template(255, (7, 2), (11, 2))), ONE_TWO))
    assert decoded.records == []
    assert decoded.templates == []
    assert sorted(faults(decoded)) == [Fault.BAD_TEMPLATE, Fault.NO_TEMPLATE]


@BOTH
def test_field_count_0_withdraws_a_template(message, set_id):
    withdrawn = one_set(set_id, struct.pack("!HH", 256, 0))
    decoded = decode(message(announce(set_id), ONE_TWO, withdrawn, ONE_TWO))
    assert values(decoded) == [(1, 2)]
    assert decoded.tally.sets_no_template == 1
    assert faults(decoded) == [Fault.NO_TEMPLATE]
    assert [event.layout is None for event in decoded.templates] == [False, True]


@pytest.mark.parametrize(("every", "left"), [(2, (0, 1)), (3, (1, 0))])
def test_ipfix_withdraws_all_templates_or_all_options_templates(every, left):
    options = struct.pack("!HHH", 257, 1, 1) + fields((149, 4))
    decoder = Decoder()
    decode(ipfix(IPFIX_PORTS, one_set(3, options)), decoder=decoder)
    decode(ipfix(IPFIX_PORTS, domain=8), decoder=decoder)
    decode(ipfix(one_set(every, struct.pack("!HH", every, 0))), decoder=decoder)
    tally = decode(ipfix(ONE_TWO, one_set(257, b"\0\0\0\7")), decoder=decoder).tally
    assert (tally.records, tally.options_records) == left
    assert values(decode(ipfix(ONE_TWO, domain=8), decoder=decoder)) == [(1, 2)]


@BOTH
def test_an_unknown_id_leaves_its_sibling_sets_alone(message, set_id):
    unknown = one_set(300, b"\0\1\0\2\0\3")
    decoded = decode(message(announce(set_id), unknown, ONE_TWO, unknown))
    assert values(decoded) == [(1, 2)]
    assert decoded.tally.sets_no_template == decoded.tally.sets_kept == 2
    assert decoded.tally.octets_no_template == 12
    assert decoded.tally.data_sets == 1


@BOTH
@pytest.mark.parametrize("batches", [1, 2])
def test_data_before_its_template_comes_late_with_its_own_header(message, set_id, batches):
    decoder = Decoder()
    early, later = message(ONE_TWO), message(announce(set_id), one_set(256, b"\0\3\0\4"))
    if batches == 1:
        parts = [decode(v5(1, 1), early, later, decoder=decoder, receive_ms=[1, 2, 3])]
    else:
        parts = [
            decode(v5(1, 1), early, decoder=decoder, receive_ms=[1, 2]),
            decode(later, decoder=decoder, receive_ms=3),
        ]
    (late,) = [records for part in parts for records in part.records if records.late]
    assert late.unsigned(0).tolist() == [1]
    assert late.headers.ordinal[late.datagram].tolist() == [1]
    assert late.headers.receive_ms[late.datagram].tolist() == [2]
    tally = sum((part.tally for part in parts[1:]), parts[0].tally)
    assert (tally.sets_kept, tally.sets_recovered, tally.sets_waiting) == (1, 1, 0)
    assert (tally.records, tally.late_records) == (3, 1)
    assert decoder.waiting_octets == 0


def test_late_data_is_read_with_the_first_template_that_comes():
    decoded = decode(v9(ONE_TWO), v9(V9_PORTS), v9(one_set(0, AS_ONE)), v9(ONE_TWO))
    assert values(decoded) == [(1, 2), (65538,)]
    assert decoded.tally.late_records == 1
