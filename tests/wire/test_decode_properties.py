"""`Decoder` against the oracle: for all octets the same records, counters and faults."""

import os
import random
from collections import Counter
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clarion.wire.batch import SLACK, DatagramBatch
from clarion.wire.decode import Decoded, Decoder
from clarion.wire.faults import Fault
from clarion.wire.records import Records
from clarion.wire.tally import Tally
from tests import captures
from tests.damage import headed_noise
from tests.oracle import Oracle, Result
from tests.strategies import Datagram, sequences, variable_bodies, well_formed

COMMON = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("default", max_examples=200, **COMMON)
settings.register_profile("ci", max_examples=500, derandomize=True, print_blob=True, **COMMON)
settings.register_profile("deep", max_examples=20_000, **COMMON)
PROFILE = settings.get_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))

CASES = captures.CASES or [pytest.param("", id="absent")]


class Found(NamedTuple):
    """All that one or more `Decoded` say, comparable."""

    records: Counter
    late: Counter
    templates: list
    faults: Counter
    tally: Tally


def rows_of(records) -> list[tuple]:
    """Return rows as the oracle has them, after the ordinal of their datagram."""
    layout = records.layout
    columns = []
    for position, (pen, element, length) in enumerate(layout.fields):
        if length == 65535:
            offsets, content = records.variable(position)
            octets = content.tobytes()
            ends = offsets.tolist()
            values = [octets[a:b] for a, b in pairwise(ends)]
        else:
            table = records.octets(position)
            assert table.shape == (len(records.datagram), length)
            values = [row.tobytes() for row in table]
        columns.append([((pen, element), value) for value in values])
    ordinal = records.headers.ordinal[records.datagram]
    place = (ordinal, records.set_number, records.template_id, records.number)
    return [
        (*where, layout.options, layout.scope_count, values)
        for where, values in zip(
            zip(*(column.tolist() for column in place), strict=True),
            zip(*columns, strict=True),
            strict=True,
        )
    ]


def gather(parts: list[Decoded]) -> Found:
    """Put the results of successive batches together."""
    found = Found(Counter(), Counter(), [], Counter(), Tally())
    for decoded in parts:
        for records in decoded.records:
            (found.late if records.late else found.records).update(rows_of(records))
        ordinal = decoded.headers.ordinal
        for event in decoded.templates:
            fields = event.layout and (
                event.layout.fields,
                event.layout.scope_count,
                event.layout.options,
            )
            where = (int(ordinal[event.datagram]), event.set_number, event.offset)
            found.templates.append((*where, event.template_id, fields))
        for row, fault in zip(decoded.faults.datagram, decoded.faults.fault, strict=True):
            found.faults[int(ordinal[row]), Fault(fault).name] += 1
        found = found._replace(tally=found.tally + decoded.tally)
    found.templates.sort(key=lambda event: event[:3])
    return found


def in_scope(drawn: list[Datagram]) -> list[Datagram]:
    """Leave out what octets may become by chance and the oracle does not read: v1, v7, sFlow."""
    beyond = (b"\0\1", b"\0\7", b"\0\0\0\5")
    return [datagram for datagram in drawn if not datagram.payload.startswith(beyond)]


def oracles(drawn: list[Datagram]) -> Found:
    """Return what the oracle says."""
    oracle = Oracle(waiting=True)
    found = Found(Counter(), Counter(), [], Counter(), Tally())
    for number, (payload, address) in enumerate(drawn):
        result = oracle.decode(payload, address)
        found.records.update((number, *record) for record in result.records)
        found.late.update((earlier, *record) for earlier, record in result.late)
        for set_number, offset, template_id, template in result.templates:
            found.templates.append(
                (number, set_number, offset, template_id, template and tuple(template))
            )
        found.faults.update((number, fault) for fault in result.faults)
        count(found.tally, payload, result)
    return found


def count(tally: Tally, payload: bytes, result: Result) -> None:
    """Raise the counters that the oracle has an opinion on."""
    version = int.from_bytes(payload[:2])
    names = {5: "datagrams_v5", 9: "datagrams_v9", 10: "datagrams_ipfix"}
    one = names[version] if result.octets["header"] else "malformed"
    raised = Counter({"datagrams": 1, one: 1, "octets": len(payload)})
    raised.update({f"octets_{bucket}": octets for bucket, octets in result.octets.items()})
    raised["sets"] = result.sets.total() - result.sets["rejected"]
    for name in ("template", "data"):
        raised[f"{name}_sets"] = result.sets[name]
    for name in ("no_template", "reserved", "zero_length", "rejected"):
        raised[f"sets_{name}"] = result.sets[name]
    late = [record for _, record in result.late]
    for record in result.records + late:
        raised["options_records" if record.options else "records"] += 1
    raised["late_records"] = len(late)
    raised["sets_kept"] = result.sets["no_template"]
    raised["sets_recovered"] = result.recovered
    for name, number in raised.items():
        setattr(tally, name, getattr(tally, name) + number)


def batch_of(drawn: list[Datagram]) -> DatagramBatch:
    return DatagramBatch.of([d.payload for d in drawn], address=[d.address for d in drawn])


def decoded_in(drawn: list[Datagram], cuts: list[int]) -> Found:
    """Decode the datagrams in batches that end at the cuts."""
    decoder = Decoder()
    ends = [0, *sorted(min(cut, len(drawn)) for cut in cuts), len(drawn)]
    batches = (drawn[a:b] for a, b in pairwise(ends))
    return gather([decoder.decode(batch_of(batch)) for batch in batches])


def check(found: Found, wanted: Found) -> None:
    assert found.records == wanted.records
    assert found.late == wanted.late
    assert found.templates == wanted.templates
    assert found.faults == wanted.faults
    assert found.tally == wanted.tally


def check_identities(tally: Tally) -> None:
    names = Tally.__dataclass_fields__
    usable = sum(getattr(tally, name) for name in names if name.startswith("datagrams_"))
    assert tally.datagrams == usable + tally.malformed + tally.refused
    kinds = tally.template_sets + tally.data_sets + tally.sets_no_template
    assert tally.sets == kinds + tally.sets_reserved + tally.sets_zero_length
    assert tally.octets == sum(getattr(tally, n) for n in names if n.startswith("octets_"))
    assert tally.sets_waiting >= 0


@settings(PROFILE)
@given(sequences())
def test_decodes_as_the_oracle_does(drawn):
    drawn = in_scope(drawn)
    found = decoded_in(drawn, [])
    check_identities(found.tally)
    check(found, oracles(drawn))


@settings(PROFILE)
@given(sequences(most=8), st.lists(st.integers(0, 8), max_size=4))
def test_any_split_into_batches_gives_the_same(drawn, cuts):
    check(decoded_in(drawn, cuts), decoded_in(drawn, []))


@settings(PROFILE, max_examples=max(50, PROFILE.max_examples // 4))
@given(sequences(most=8))
def test_records_put_together_are_the_same_records(drawn):
    decoder = Decoder()
    parts: dict = {}
    for datagram in drawn:
        for records in decoder.decode(batch_of([datagram])).records:
            parts.setdefault(records.layout, []).append(records)
    for same in parts.values():
        wanted = [row for records in same for row in rows_of(records)]
        assert rows_of(Records.concat(same)) == wanted


@settings(PROFILE)
@given(variable_bodies(), st.integers(1, 60))
def test_records_of_variable_length_decode_as_the_oracle_does(drawn, sets):
    announced, bodies = drawn
    many = [announced, *(bodies[n % len(bodies)] for n in range(sets))]
    check(decoded_in(many, []), oracles(many))


@settings(PROFILE)
@given(st.lists(st.one_of(st.binary(max_size=200), headed_noise()), max_size=6))
def test_no_octets_raise(payloads):
    drawn = [Datagram(payload, bytes(16)) for payload in payloads]
    check_identities(decoded_in(drawn, []).tally)
    drawn = in_scope(drawn)
    check(decoded_in(drawn, []), oracles(drawn))


@settings(PROFILE, max_examples=max(50, PROFILE.max_examples // 4))
@given(well_formed(), st.randoms(use_true_random=False))
def test_results_hold_no_view_of_the_slab(drawn, chance):
    plain = batch_of(drawn)
    gap = 40
    octets = np.frombuffer(chance.randbytes(len(plain.octets) + gap * len(drawn) + SLACK), np.uint8)
    octets = octets.copy()
    starts = plain.start + gap * np.arange(1, len(drawn) + 1)
    for start, datagram in zip(starts, drawn, strict=True):
        octets[start : start + len(datagram.payload)] = list(datagram.payload)
    slab = DatagramBatch(octets, starts, plain.length, plain.address, plain.port, plain.receive_ms)
    decoded = Decoder().decode(slab)
    for array in (octets, starts, slab.length, slab.address, slab.port, slab.receive_ms):
        if array.flags.writeable:
            array.fill(255 if array.dtype == np.uint8 else 0)
    check(gather([decoded]), oracles(drawn))


@settings(PROFILE, max_examples=max(50, PROFILE.max_examples // 4))
@given(sequences(), st.integers(13, 70))
def test_many_exporters_at_once_decode_as_the_oracle_does(drawn, exporters):
    many = [
        Datagram(datagram.payload, bytes([exporter]) + datagram.address[1:])
        for datagram in in_scope(drawn)
        for exporter in range(exporters)
    ]
    check(decoded_in(many, []), oracles(many))


@pytest.mark.parametrize("case", CASES)
def test_captures_decode_as_the_oracle_does_in_any_batches(case):
    captures.require()
    drawn = [Datagram(packet.payload, packet.address) for packet in captures.packets(case)]
    wanted = oracles(drawn)
    check(decoded_in(drawn, []), wanted)
    check(decoded_in(drawn, list(range(len(drawn)))), wanted)
    chance = random.Random(case)
    for _ in range(3):
        check(decoded_in(drawn, chance.choices(range(len(drawn)), k=4)), wanted)
