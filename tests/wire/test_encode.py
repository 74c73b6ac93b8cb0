import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clarion.errors import EncodeError
from clarion.wire import encode
from clarion.wire.layout import V5_LAYOUT, FieldSpecifier, layout
from tests.oracle import Oracle

PORTS = layout(10, [FieldSpecifier(0, 7, 2), FieldSpecifier(0, 11, 2)])


@given(st.data())
def test_integers_of_every_length_are_big_endian(data):
    lengths = data.draw(st.lists(st.integers(1, 8), min_size=1, max_size=6))
    rows = data.draw(st.integers(0, 4))
    spec = layout(10, [FieldSpecifier(0, 100 + i, n) for i, n in enumerate(lengths)])
    values = [
        data.draw(st.lists(st.integers(0, 256**n - 1), min_size=rows, max_size=rows))
        for n in lengths
    ]

    records = encode.encode_records(spec, [np.array(column, np.uint64) for column in values])

    expected = [
        b"".join(column[row].to_bytes(n, "big") for n, column in zip(lengths, values, strict=True))
        for row in range(rows)
    ]
    assert [record.tobytes() for record in records] == expected


def test_octet_columns_are_copied_as_they_are():
    spec = layout(10, [FieldSpecifier(0, 27, 16), FieldSpecifier(0, 4, 1)])
    addresses = np.arange(32, dtype=np.uint8).reshape(2, 16)

    records = encode.encode_records(spec, [addresses, np.array([6, 17])])

    assert records[1].tobytes() == bytes(range(16, 32)) + b"\x11"


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ([np.array([1]), np.array([70000])], "element 11: 70000 does not fit 2 octets"),
        ([np.array([-1]), np.array([1])], "element 7: -1 does not fit 2 octets"),
        ([np.array([1])], "1 columns for 2 fields"),
        ([np.array([1]), np.array([1, 2])], "element 11: 2 rows, others 1"),
        ([np.array([1.5]), np.array([1])], "element 7: float64 column, wanted integers"),
        ([np.zeros((1, 3), np.uint8), np.array([1])], "wanted uint8 of 2 octets"),
    ],
)
def test_columns_that_do_not_fit_are_refused(columns, said):
    with pytest.raises(EncodeError, match=said):
        encode.encode_records(PORTS, columns)


def test_a_variable_field_is_preceded_by_its_length():
    spec = layout(10, [FieldSpecifier(0, 82, 65535), FieldSpecifier(0, 4, 1)])

    short = encode.encode_record(spec, [b"eth0", 6])
    long = encode.encode_record(spec, [bytes(300), 6])

    assert short == b"\x04eth0\x06"
    assert long == b"\xff\x01\x2c" + bytes(300) + b"\x06"


@pytest.mark.parametrize(
    ("spec", "values", "said"),
    [
        (PORTS, [1], "1 values for 2 fields"),
        (PORTS, [1, 65536], "65536 does not fit"),
        (PORTS, [1, b"abc"], "3 octets, wanted 2"),
        (layout(10, [FieldSpecifier(0, 82, 65535)]), [7], "wants octets"),
        (layout(10, [FieldSpecifier(0, 82, 65535)]), [bytes(65536)], "at most 65535"),
    ],
)
def test_values_that_do_not_fit_are_refused(spec, values, said):
    with pytest.raises(EncodeError, match=said):
        encode.encode_record(spec, values)


def test_template_sets():
    fields = [FieldSpecifier(0, 8, 4), FieldSpecifier(0, 7, 2)]
    body = struct.pack("!HHHHHH", 300, 2, 8, 4, 7, 2)

    assert encode.template_set(layout(9, fields), 300) == struct.pack("!HH", 0, 16) + body
    assert encode.template_set(layout(10, fields), 300) == struct.pack("!HH", 2, 16) + body


def test_an_enterprise_field_has_the_bit_and_the_number():
    spec = layout(10, [FieldSpecifier(29305, 1, 8)])

    octets = encode.template_set(spec, 256)

    assert octets == struct.pack("!HHHHHHI", 2, 16, 256, 1, 0x8001, 8, 29305)
    with pytest.raises(EncodeError, match="which v9 cannot carry"):
        encode.template_set(layout(9, [FieldSpecifier(29305, 1, 8)]), 256)


def test_options_template_sets():
    scope, interval = FieldSpecifier(-1, 1, 4), FieldSpecifier(0, 34, 4)
    v9 = layout(9, [scope, interval], scope_count=1, options=True)
    ipfix = layout(10, [FieldSpecifier(0, 149, 4), interval], scope_count=1, options=True)

    # v9 gives the octets of the scope and option parts, IPFIX the numbers of fields
    assert encode.template_set(v9, 257) == struct.pack(
        "!HHHHHHHHHH", 1, 20, 257, 4, 4, 1, 4, 34, 4, 0
    )
    assert encode.template_set(ipfix, 257) == struct.pack(
        "!HHHHHHHHH", 3, 18, 257, 2, 1, 149, 4, 34, 4
    )


@pytest.mark.parametrize("template_id", [0, 255, 65536])
def test_template_ids_below_256_are_for_sets(template_id):
    with pytest.raises(EncodeError, match="wanted 256 to 65535"):
        encode.template_set(PORTS, template_id)


def test_v5_datagrams_are_what_struct_packs():
    columns = [np.arange(2) + 3 * i for i in range(20)]
    columns[11] = columns[19] = np.zeros(2, np.int64)

    records = encode.encode_records(V5_LAYOUT, columns)
    octets = encode.datagrams(V5_LAYOUT, 0, records.reshape(1, 2, 48))
    header = encode.header_view(5, octets)
    for name in ("uptime_ms", "export_s", "export_ns", "sequence", "domain", "sampling"):
        header[name] = len(name)

    packed = [struct.pack("!3I2H4I2H4B2H2BH", *(int(c[row]) for c in columns)) for row in (0, 1)]
    head = struct.pack("!HHIIIIHH", 5, 2, 9, 8, 9, 8, 6, 8)
    assert octets.tobytes() == head + b"".join(packed)


def test_v9_data_sets_are_padded_to_four_octets():
    spec = layout(9, [FieldSpecifier(0, 4, 1)])
    records = np.array([[[6], [17], [1]]], np.uint8)

    octets = encode.datagrams(spec, 256, records)

    head = struct.pack("!HHIIII", 9, 3, 0, 0, 0, 0)
    assert octets.tobytes() == head + struct.pack("!HH", 256, 8) + b"\x06\x11\x01\0"


def test_ipfix_datagrams_carry_their_length():
    records = np.array([[[1, 2, 3, 4]], [[5, 6, 7, 8]]], np.uint8)

    octets = encode.datagrams(PORTS, 256, records)

    head = struct.pack("!HHIII", 10, 24, 0, 0, 0) + struct.pack("!HH", 256, 8)
    assert [row.tobytes() for row in octets] == [head + b"\1\2\3\4", head + b"\5\6\7\x08"]


def test_too_many_records_for_a_datagram_are_refused():
    with pytest.raises(EncodeError, match="31 records of 48 octets do not fit"):
        encode.datagrams(V5_LAYOUT, 0, np.zeros((1, 31, 48), np.uint8))
    with pytest.raises(EncodeError, match="do not fit"):
        encode.datagrams(PORTS, 256, np.zeros((1, 20000, 4), np.uint8))
    with pytest.raises(EncodeError, match="at most 65535"):
        encode.message(10, [bytes(65536)])


@given(st.sampled_from([9, 10]), st.data())
def test_an_independent_decoder_reads_the_same_values(version, data):
    lengths = data.draw(st.lists(st.integers(1, 8), min_size=1, max_size=5))
    spec = layout(version, [FieldSpecifier(0, 1000 + i, n) for i, n in enumerate(lengths)])
    rows = data.draw(st.integers(1, 5))
    columns = [
        np.array(
            data.draw(st.lists(st.integers(0, 256**n - 1), min_size=rows, max_size=rows)),
            np.uint64,
        )
        for n in lengths
    ]
    templates = encode.message(version, [encode.template_set(spec, 400)], domain=7)
    records = encode.encode_records(spec, columns).reshape(1, rows, -1)
    octets = encode.datagrams(spec, 400, records)
    encode.header_view(version, octets)["domain"] = 7

    oracle = Oracle()
    oracle.decode(templates)
    result = oracle.decode(octets.tobytes())

    # Padding may be as long as a record of one or two octets: RFC 7011 3.3.1
    read = [tuple(int.from_bytes(v, "big") for _, v in r.values) for r in result.records][:rows]
    assert read == [tuple(int(c[row]) for c in columns) for row in range(rows)]
    assert not result.faults
