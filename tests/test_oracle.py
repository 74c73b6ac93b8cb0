"""The oracle itself, against what tshark, nfdump and logstash say of real exporters' packets."""

import pytest

from tests import captures
from tests.oracle import BUCKETS, Oracle, Record, Result
from tests.oracle_templates import V9_SCOPE

CASES = captures.CASES or [pytest.param("", id="absent")]


def decoded(case: str) -> list[Result]:
    captures.require()
    oracle = Oracle()
    return [oracle.decode(packet.payload, packet.address) for packet in captures.packets(case)]


def places(case: str, key: str) -> dict[tuple, dict]:
    """Map (packet, set, set id, index) to the expected record."""
    return {
        (r["packet"], r["set"], r["flowset_id"] or 0, r["index"]): r
        for r in captures.expected(case)[key]
    }


def labelled(record: Record) -> dict[str, bytes]:
    """Name values as the expected files do: "8", "8#2", "29305.1"; scopes as "scope:8"."""
    found: dict[str, bytes] = {}
    for position, ((pen, element), octets) in enumerate(record.values):
        if element == 210 and not pen:
            continue
        name = f"{pen}.{element}" if pen > 0 else str(element)
        if position < record.scope_count:
            name = f"scope:{name}"
        repeat, label = 1, name
        while label in found:
            repeat += 1
            label = f"{name}#{repeat}"
        found[label] = octets
    return found


@pytest.mark.parametrize("case", CASES)
def test_records_are_where_they_are_expected(case):
    results = decoded(case)
    wanted = {False: set(places(case, "records")), True: set(places(case, "options_records"))}
    got = {
        options: [
            (n, r.set_number, r.template_id, r.index)
            for n, result in enumerate(results)
            for r in result.records
            if r.options == options
        ]
        for options in (False, True)
    }
    for options in (False, True):
        assert len(got[options]) == len(set(got[options]))
        assert set(got[options]) == wanted[options]


@pytest.mark.parametrize("case", CASES)
def test_values_are_as_expected(case):
    results = decoded(case)
    wanted = places(case, "records") | places(case, "options_records")
    for n, result in enumerate(results):
        for record in result.records:
            expect = wanted[n, record.set_number, record.template_id, record.index]
            fields = {f"scope:{k}": v for k, v in expect.get("scope", {}).items()}
            fields |= expect["fields"]
            raw = {k: bytes.fromhex(v) for k, v in expect.get("raw", {}).items()}
            found = labelled(record)
            assert found.keys() == fields.keys()
            for name, octets in found.items():
                value = fields[name]
                want = raw.get(name.removeprefix("scope:"))
                if want is None:
                    want = captures.wire_octets(value, len(octets))
                if want is None:
                    assert octets.rstrip(b"\0").decode() == value
                else:
                    assert octets == want, (n, record.set_number, record.index, name, value)


@pytest.mark.parametrize("case", CASES)
def test_templates_are_as_expected(case):
    results = decoded(case)
    got = []
    for n, result in enumerate(results):
        for found in result.templates:
            fields = []
            for pen, element, length in found.template.fields:
                prefix = "scope." if pen == V9_SCOPE else f"{pen}." if pen else ""
                fields.append((f"{prefix}{element}", length))
            scopes = found.template.scope_count
            got.append((n, found.offset, found.template_id, scopes, tuple(fields)))
    wanted = [
        (t["packet"], t["offset"], t["id"], t.get("scope_count", 0), tuple(
            (key, length) for key, _, length in t["fields"]
        ))
        for t in captures.expected(case)["templates"]
    ]  # fmt: skip
    if wanted:
        assert got == wanted
    expect = captures.expected(case)
    assert len(got) == expect["template_count"] + expect["options_template_count"]


@pytest.mark.parametrize("case", CASES)
def test_undecodable_sets_are_counted_and_every_octet_has_a_bucket(case):
    results = decoded(case)
    missing = captures.expected(case).get("undecodable_sets", [])
    assert sum(r.sets["no_template"] for r in results) == len(missing)
    assert sum(r.octets["no_template"] for r in results) == sum(s["length"] - 4 for s in missing)
    for packet, result in zip(captures.packets(case), results, strict=True):
        assert result.octets.total() == len(packet.payload)
        assert result.octets.keys() <= set(BUCKETS)
    for result, packet in zip(results, captures.expected(case)["packets"], strict=True):
        data = [s for s in packet.get("sets", []) if s["kind"].endswith("data")]
        if "sets" in packet:
            assert result.octets["padding"] == sum(s.get("padding", 0) for s in data)


def test_a_record_kept_for_its_template_comes_late():
    header = bytes.fromhex("000a 0018 00000000 00000000 00000007")
    data = header + bytes.fromhex("0100 0008 c0000201")
    template = header[:2] + b"\0\x1c" + header[4:] + bytes.fromhex("0002 000c 0100 0001 0008 0004")
    oracle = Oracle(waiting=True)
    assert oracle.decode(data).octets["no_template"] == 4
    (late,) = oracle.decode(template).late
    assert late == (0, Record(0, 256, 0, False, 0, (((0, 8), b"\xc0\0\2\1"),)))
    assert oracle.decode(data).records == [late[1]]


def test_templates_belong_to_address_and_domain():
    template = bytes.fromhex("000a 001c 00000000 00000000 00000007 0002 000c 0100 0001 0008 0004")
    data = bytes.fromhex("000a 0018 00000000 00000000 00000007 0100 0008 c0000201")
    oracle = Oracle()
    oracle.decode(template, b"a" * 16)
    assert oracle.decode(data, b"a" * 16).records
    assert not oracle.decode(data, b"b" * 16).records
    assert not oracle.decode(data[:15] + b"\x08" + data[16:], b"a" * 16).records
