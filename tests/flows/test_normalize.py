"""Flow columns: what real exporters' records become, and times in every form they come in."""

import datetime
import struct

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings

from clarion.flows.normalize import Normalizer
from clarion.flows.schema import FLOW_SCHEMA
from clarion.wire.batch import DatagramBatch
from clarion.wire.decode import Decoder
from tests import captures
from tests.handmade import EXPORTER, fields, one_set, template
from tests.strategies import sequences

CASES = captures.CASES or [pytest.param("", id="absent")]
DERIVED = {
    "src_addr": "src_ip",
    "dst_addr": "dst_ip",
    "src_port": "src_port",
    "dst_port": "dst_port",
    "protocol": "protocol",
    "bytes": "bytes",
    "packets": "packets",
    "start_ms": "flow_start",
    "end_ms": "flow_end",
}
EXPORT_S = 1_700_000_000
EXPORT_MS = EXPORT_S * 1000
BOOT_MS = EXPORT_MS - 100_000
NTP_1970 = 2_208_988_800


def rows(flows: pa.RecordBatch) -> list[dict]:
    """Return one dictionary a row, times in milliseconds."""
    flows.validate(full=True)
    assert flows.schema.equals(FLOW_SCHEMA)
    columns = {}
    for name, column in zip(flows.schema.names, flows.columns, strict=True):
        timestamp = pa.types.is_timestamp(column.type)
        columns[name] = (column.cast(pa.int64()) if timestamp else column).to_pylist()
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def normalized(payloads: list[bytes], **batch) -> list[dict]:
    """Decode in one batch, learn from the options records, and return all rows of flows."""
    batch.setdefault("address", EXPORTER)
    return [row for _, row in placed(DatagramBatch.of(payloads, **batch))]


def placed(batch: DatagramBatch) -> list[tuple[tuple, dict]]:
    """Return the rows with their place: datagram, set, record."""
    decoded = Decoder().decode(batch)
    normalizer = Normalizer()
    for records in decoded.records:
        if records.layout.options:
            normalizer.learn(records)
    found = []
    for records in decoded.records:
        if not records.layout.options:
            ordinal = records.headers.ordinal[records.datagram]
            columns = (column.tolist() for column in (ordinal, records.set_number, records.number))
            places = zip(*columns, strict=True)
            found += zip(places, rows(normalizer.normalize(records)), strict=True)
    return sorted(found, key=lambda one: one[0])


def v5(first: int, last: int, *, uptime: int = 60_000, nanoseconds: int = 0, sampling: int = 0):
    header = struct.pack("!HHIIIIBBH", 5, 1, uptime, EXPORT_S, nanoseconds, 0, 1, 2, sampling)
    record = struct.pack("!IIIHHIIIIHHBBBBHHBBH", 1, 2, 3, 4, 5, 6, 7, first, last, *range(8, 19))
    return header + record


def message(
    version: int, *pairs: tuple[int, int], values: tuple[int, ...], uptime: int = 60_000
) -> bytes:
    """Return a datagram with one template and one record of integers."""
    body = b"".join(v.to_bytes(length) for v, (_, length) in zip(values, pairs, strict=True))
    announced = one_set(0 if version == 9 else 2, template(256, *pairs))
    sets = announced + one_set(256, body)
    if version == 9:
        return struct.pack("!HHIIII", 9, 2, uptime, EXPORT_S, 1, 7) + sets
    return struct.pack("!HHIII", 10, 16 + len(sets), EXPORT_S, 1, 7) + sets


def times(*payloads: bytes) -> tuple[int | None, int | None]:
    (row,) = normalized(list(payloads))
    return row["flow_start"], row["flow_end"]


@pytest.mark.parametrize("case", CASES)
def test_captures_become_the_rows_that_other_tools_see(case):
    captures.require()
    packets = captures.packets(case)
    payloads = [packet.payload for packet in packets]
    found = placed(DatagramBatch.of(payloads, address=[packet.address for packet in packets]))
    expected = captures.expected(case)["records"]
    assert [place for place, _ in found] == [(r["packet"], r["set"], r["index"]) for r in expected]
    for (place, row), record in zip(found, expected, strict=True):
        got = {key: row[name] for key, name in DERIVED.items()}
        assert got == record["derived"], place
        exporter = packets[record["packet"]].address
        assert row["switch_id"] == ".".join(str(octet) for octet in exporter[12:])


def test_a_v5_record_fills_the_columns_of_its_fields():
    (row,) = normalized([v5(50_000, 59_000, sampling=0x4064)], receive_ms=EXPORT_MS + 5)
    export_time = row.pop("export_time")
    assert export_time == EXPORT_MS
    assert row.pop("receive_time") == EXPORT_MS + 5
    assert {name: value for name, value in row.items() if value is not None} == {
        "src_ip": "0.0.0.1", "dst_ip": "0.0.0.2", "next_hop": "0.0.0.3", "input_if": 4,
        "output_if": 5, "packets": 6, "bytes": 7, "flow_start": EXPORT_MS - 10_000,
        "flow_end": EXPORT_MS - 1_000, "src_port": 8, "dst_port": 9, "tcp_flags": 11,
        "protocol": 12, "tos": 13, "src_as": 14, "dst_as": 15, "src_mask": 16, "dst_mask": 17,
        "switch_id": "192.0.2.1", "observation_domain": 0x102, "sampling_interval": 100,
        "protocol_version": 5,
    }  # fmt: skip


@pytest.mark.parametrize("version", [5, 9])
def test_uptimes_wrap_and_may_lie_after_the_header(version):
    def shown(first, last, uptime):
        if version == 5:
            return times(v5(first, last, uptime=uptime))
        pairs = ((22, 4), (21, 4))
        return times(message(9, *pairs, values=(first, last), uptime=uptime))

    assert shown(1_000, 59_000, 60_000) == (EXPORT_MS - 59_000, EXPORT_MS - 1_000)
    # 49.7 days after boot the counter began again between the flow's start and its end.
    assert shown(2**32 - 1_000, 500, 2_000) == (EXPORT_MS - 3_000, EXPORT_MS - 1_500)
    assert shown(2**32 - 1, 0, 0) == (EXPORT_MS - 1, EXPORT_MS)
    # A flow that ends after the header was written ends in the near future, not in 49 days.
    assert shown(66_891_000, 66_892_160, 66_892_000) == (EXPORT_MS - 1_000, EXPORT_MS + 160)


def test_uptimes_may_have_eight_octets():
    payload = message(9, (22, 8), (21, 8), values=(1_000, 59_000))
    assert times(payload) == (EXPORT_MS - 59_000, EXPORT_MS - 1_000)


def test_v5_adds_the_nanoseconds_of_its_header():
    payload = v5(59_000, 60_000, nanoseconds=280_328_000)
    assert times(payload) == (EXPORT_MS + 280 - 1_000, EXPORT_MS + 280)
    (row,) = normalized([payload])
    assert row["export_time"] == EXPORT_MS + 280


@pytest.mark.parametrize("version", [9, 10])
@pytest.mark.parametrize(
    ("start", "end", "length", "values"),
    [
        (150, 151, 4, (EXPORT_S - 9, EXPORT_S - 1)),
        (152, 153, 8, (EXPORT_MS - 9_000, EXPORT_MS - 1_000)),
        (154, 155, 8, (EXPORT_S - 9 + NTP_1970 << 32, EXPORT_S - 1 + NTP_1970 << 32)),
        (156, 157, 8, (EXPORT_S - 9 + NTP_1970 << 32, EXPORT_S - 1 + NTP_1970 << 32)),
        (158, 159, 4, (9_000_000, 1_000_000)),
    ],
)
def test_absolute_times_and_deltas(version, start, end, length, values):
    payload = message(version, (start, length), (end, length), values=values)
    assert times(payload) == (EXPORT_MS - 9_000, EXPORT_MS - 1_000)


def test_ntp_fractions_are_of_2_to_the_32nd():
    half, second = 1 << 31, EXPORT_S + NTP_1970 << 32
    payload = message(10, (154, 8), (155, 8), values=(second + half, second + half // 2))
    assert times(payload) == (EXPORT_MS + 500, EXPORT_MS + 250)


def test_deltas_are_microseconds_before_the_export_time():
    payload = message(10, (158, 4), (159, 4), values=(1_500_000, 500))
    start, end = times(payload)
    assert start == EXPORT_MS - 1_500
    assert end in (EXPORT_MS - 1, EXPORT_MS)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (0, 2, 1)])
def test_ipfix_uptimes_count_from_ie_160_wherever_it_stands(order):
    pairs = [(160, 8), (22, 4), (21, 4)]
    values = [BOOT_MS, 1_000, 2_000]
    ordered = [pairs[n] for n in order]
    payload = message(10, *ordered, values=tuple(values[n] for n in order))
    assert times(payload) == (BOOT_MS + 1_000, BOOT_MS + 2_000)


def test_ipfix_uptimes_count_from_ie_160_learnt_from_options_of_their_session():
    options = struct.pack("!HHH", 300, 2, 1) + fields((143, 4), (160, 8))
    sets = one_set(3, options) + one_set(300, struct.pack("!IQ", 1, BOOT_MS))
    told = struct.pack("!HHIII", 10, 16 + len(sets), EXPORT_S, 0, 7) + sets
    flow = message(10, (22, 4), (21, 4), values=(1_000, 2_000))
    assert times(told, flow) == (BOOT_MS + 1_000, BOOT_MS + 2_000)
    assert times(flow) == (None, None)
    stranger = told[:12] + struct.pack("!I", 8) + told[16:]
    assert times(stranger, flow) == (None, None)


def test_security_group_tags_are_ciscos_never_411_and_412():
    (v9,) = normalized([message(9, (34000, 2), (34001, 2), values=(17, 34))])
    assert (v9["src_sgt"], v9["dst_sgt"]) == (17, 34)
    body = struct.pack("!HHHHIHHI", 256, 2, 0x8000 | 1232, 2, 9, 0x8000 | 1233, 2, 9)
    sets = one_set(2, body) + one_set(256, struct.pack("!HH", 17, 34))
    header = struct.pack("!HHIII", 10, 16 + len(sets), EXPORT_S, 1, 7)
    (ipfix,) = normalized([header + sets])
    assert (ipfix["src_sgt"], ipfix["dst_sgt"]) == (17, 34)
    for version in (9, 10):
        (row,) = normalized([message(version, (411, 2), (412, 2), values=(17, 34))])
        assert (row["src_sgt"], row["dst_sgt"]) == (None, None)
    (row,) = normalized([message(10, (1232, 2), (1233, 2), values=(17, 34))])
    assert (row["src_sgt"], row["dst_sgt"]) == (None, None)


@pytest.mark.parametrize("version", [9, 10])
def test_what_is_absent_is_null_and_zero_is_zero(version):
    (row,) = normalized([message(version, (7, 2), (1, 4), values=(0, 0))])
    present = {name for name, value in row.items() if value is not None}
    always = {"switch_id", "observation_domain", "export_time", "receive_time", "protocol_version"}
    assert present == always | {"src_port", "bytes"}
    assert (row["src_port"], row["bytes"]) == (0, 0)


def test_what_a_column_cannot_hold_is_null():
    (row,) = normalized([message(10, (7, 4), (11, 4), (4, 2), values=(65_536, 65_535, 256))])
    assert (row["src_port"], row["dst_port"], row["protocol"]) == (None, 65_535, None)


@pytest.mark.parametrize(
    ("pairs", "values"),
    [
        (((152, 8), (153, 8)), (2**64 - 1, 2**63)),
        (((158, 8), (159, 8)), (2**64 - 1, 2**63)),
        (((160, 8), (22, 8), (21, 8)), (BOOT_MS, 2**63, 2**64 - 1)),
        (((154, 8), (155, 8)), (0, 0)),
    ],
)
def test_impossible_times_are_null(pairs, values):
    assert times(message(10, *pairs, values=values)) == (None, None)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(sequences())
def test_any_records_become_rows_whose_times_have_a_date(drawn):
    batch = DatagramBatch.of([d.payload for d in drawn], address=[d.address for d in drawn])
    epoch = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
    for _, row in placed(batch):
        for name in ("flow_start", "flow_end", "export_time"):
            if row[name] is not None:
                epoch + datetime.timedelta(milliseconds=row[name])
