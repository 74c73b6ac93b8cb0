"""
A slow, plain decoder of NetFlow v5, v9 and IPFIX: what `clarion.wire` is compared with.

Written from Cisco's v5 format, RFC 3954 and RFC 7011 with `struct`, one record at a time; it
imports nothing of the package. Every octet of a datagram is counted in exactly one bucket.
"""

import struct
from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple

from tests.oracle_templates import Field, Template, read_record, read_template, read_v9_options

V5_FIELDS = [  # element number that v9 gives the same thing (210: padding), octets
    (8, 4), (12, 4), (15, 4), (10, 2), (14, 2), (2, 4), (1, 4), (22, 4), (21, 4), (7, 2), (11, 2),
    (210, 1), (6, 1), (4, 1), (5, 1), (16, 2), (17, 2), (9, 1), (13, 1), (210, 2),
]  # fmt: skip

BUCKETS = (
    "header",  # the datagram's
    "set_header",  # of sets that were walked
    "template",  # bodies of template and options template sets
    "record",  # decoded records
    "padding",  # after the last record of a data set
    "reserved",  # bodies of sets with a reserved id
    "no_template",  # bodies of data sets whose template is unknown
    "zero_length",  # bodies of data sets whose template has no octets
    "malformed",  # what can't be read
    "trailing",  # after the last set or record
)


class Record(NamedTuple):
    set_number: int
    template_id: int
    index: int
    options: bool
    scope_count: int
    values: tuple[tuple[tuple[int, int], bytes], ...]


class Announced(NamedTuple):
    """A template record at `offset` of its datagram; no template: withdrawn, or malformed."""

    set_number: int
    offset: int
    template_id: int
    template: Template | None


@dataclass
class Result:
    """What one datagram gave. `late` has records of earlier datagrams: (datagram, record)."""

    records: list[Record] = field(default_factory=list)
    templates: list[Announced] = field(default_factory=list)
    late: list[tuple[int, Record]] = field(default_factory=list)
    recovered: int = 0  # sets that `late` is from
    octets: Counter[str] = field(default_factory=Counter)
    sets: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)

    def count(self, bucket: str, octets: int) -> None:
        if octets:
            self.octets[bucket] += octets


class Oracle:
    """Decode datagrams in order; templates live per (exporter address, version, domain)."""

    def __init__(self, *, waiting: bool = False) -> None:
        self.templates: dict[tuple, dict[int, Template]] = {}
        self.waiting = waiting
        self.kept: dict[tuple, list[tuple[int, int, bytes]]] = {}
        self.datagram = -1

    def decode(self, data: bytes, address: bytes = bytes(16)) -> Result:
        self.datagram += 1
        out = Result()
        header = {5: 24, 9: 20, 10: 16}
        version = struct.unpack_from("!H", data)[0] if len(data) >= 2 else 0
        if version not in header or len(data) < header[version]:
            return self._malformed(
                data, out, "SHORT_HEADER" if version in header else "BAD_VERSION"
            )
        if version == 5:
            return self._v5(data, out)
        end = len(data)
        if version == 9:
            (domain,) = struct.unpack_from("!I", data, 16)
        else:
            (length,) = struct.unpack_from("!H", data, 2)
            (domain,) = struct.unpack_from("!I", data, 12)
            if length < 16:
                return self._malformed(data, out, "SHORT_HEADER")
            if length > end:
                out.faults.append("LENGTH_MISMATCH")
            end = min(end, length)
        out.count("header", header[version])
        out.count("trailing", len(data) - end)
        self._walk(data, header[version], end, version, (address, version, domain), out)
        return out

    def _malformed(self, data: bytes, out: Result, fault: str) -> Result:
        out.count("malformed", len(data))
        out.faults.append(fault)
        return out

    def _v5(self, data: bytes, out: Result) -> Result:
        (count,) = struct.unpack_from("!H", data, 2)
        fit = min(count, (len(data) - 24) // 48)
        if count > fit:
            out.faults.append("COUNT_MISMATCH")
        template = Template(tuple(Field(0, *f) for f in V5_FIELDS))
        for index in range(fit):
            values, _ = read_record(data, 24 + 48 * index, len(data), template)
            out.records.append(Record(0, 0, index, False, 0, values))
        out.sets["data"] += 1
        out.count("header", 24)
        out.count("record", 48 * fit)
        out.count("trailing", len(data) - 24 - 48 * fit)
        return out

    def _walk(self, data, at, end, version, session, out) -> None:
        number = 0
        while end - at >= 4:
            set_id, length = struct.unpack_from("!HH", data, at)
            if length < 4:
                out.faults.append("BAD_SET_LENGTH")
                out.sets["rejected"] += 1
                break
            if at + length > end:
                out.faults.append("SET_OVERRUN")
                out.sets["rejected"] += 1
                out.count("malformed", end - at)
                return
            out.count("set_header", 4)
            body, stop = at + 4, at + length
            if set_id >= 256:
                self._data(data, body, stop, set_id, session, number, out)
            elif set_id == (0 if version == 9 else 2):
                self._template_set(data, body, stop, version, session, number, False, out)
            elif set_id == (1 if version == 9 else 3):
                self._template_set(data, body, stop, version, session, number, True, out)
            else:
                out.faults.append("RESERVED_SET")
                out.sets["reserved"] += 1
                out.count("reserved", stop - body)
            at = stop
            number += 1
        out.count("trailing", end - at)

    def _data(self, data, at, end, set_id, session, number, out) -> None:
        template = self.templates.get(session, {}).get(set_id)
        if template is None:
            out.faults.append("NO_TEMPLATE")
            out.sets["no_template"] += 1
            out.count("no_template", end - at)
            if self.waiting:
                kept = self.kept.setdefault((session, set_id), [])
                kept.append((self.datagram, number, data[at:end]))
            return
        out.records += self._records(data, at, end, set_id, template, number, out)

    def _records(self, data, at, end, set_id, template, number, out) -> list[Record]:
        if template.minimum() == 0:
            out.sets["zero_length"] += 1
            out.faults.append("ZERO_LENGTH_RECORD")
            out.count("zero_length", end - at)
            return []
        out.sets["data"] += 1
        records: list[Record] = []
        options, scopes = template.options, template.scope_count
        while end - at >= template.minimum():
            values, after = read_record(data, at, end, template)
            if after < 0:
                if end - at < 4 and not any(data[at:end]):
                    break
                out.faults.append("RECORD_OVERRUN")
                out.count("malformed", end - at)
                return records
            records.append(Record(number, set_id, len(records), options, scopes, values))
            out.count("record", after - at)
            at = after
        out.count("padding", end - at)
        return records

    def _template_set(self, data, at, end, version, session, number, options, out) -> None:
        table = self.templates.setdefault(session, {})
        out.sets["template"] += 1
        out.count("template", end - at)
        while end - at >= 4:
            template_id, count = struct.unpack_from("!HH", data, at)
            v9_options = version == 9 and options
            if version == 10 and template_id == (3 if options else 2) and count == 0:
                for one in [i for i, t in table.items() if t.options == options]:
                    del table[one]
                out.templates.append(Announced(number, at, template_id, None))
                at += 4
                continue
            if template_id < 256:
                if template_id or any(data[at:end]):
                    out.faults.append("BAD_TEMPLATE")
                return
            if count == 0 and not v9_options:
                table.pop(template_id, None)
                out.templates.append(Announced(number, at, template_id, None))
                at += 4
                continue
            if v9_options and data[at + 2 : at + 6] == bytes(4) and end - at >= 6:
                table.pop(template_id, None)
                out.templates.append(Announced(number, at, template_id, None))
                at += 6
                continue
            read = read_v9_options if v9_options else read_template
            template, after = read(data, at, end, version, options)
            out.templates.append(Announced(number, at, template_id, template))
            if template is None:
                table.pop(template_id, None)
                out.faults.append("BAD_TEMPLATE")
                if after < 0:
                    return
            else:
                table[template_id] = template
                self._release(template_id, template, session, out)
            at = after

    def _release(self, template_id, template, session, out) -> None:
        for datagram, number, body in self.kept.pop((session, template_id), []):
            out.recovered += 1
            again = Result()
            found = self._records(body, 0, len(body), template_id, template, number, again)
            out.late += [(datagram, record) for record in found]
