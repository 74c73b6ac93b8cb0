"""
Hypothesis strategies for export datagrams: well-formed ones, mutated ones and plain noise.

`sequences()` draws datagrams of one or two exporters in the order they would arrive: templates,
options templates, data, withdrawals and reserved sets in any order, with the few template ids
and domains that make redefinitions and clashes common.
"""

import struct
from typing import NamedTuple

from hypothesis import strategies as st

from tests.damage import MUTATIONS, headed_noise

VARIABLE = 65535
ADDRESSES = (bytes(10) + b"\xff\xff\xc0\0\2\1", bytes(10) + b"\xff\xff\xc0\0\2\2")
DOMAINS = (0, 1)
TEMPLATE_IDS = (256, 257, 258, 999, 65535)
ELEMENTS = (
    1, 2, 4, 7, 8, 11, 12, 21, 22, 27, 28, 56, 82, 150, 152, 153, 154, 157, 158, 159, 160, 210,
    0, 32767,
)  # fmt: skip
ENTERPRISES = (9, 29305, 6871, 0, 2**32 - 1)
LENGTHS = (4, 1, 2, 8, 16, 3, 5, 6, 7, 0, 33)
PADDINGS = (b"", b"", b"\0", b"\0\0", b"\0\0\0", b"\0\0\0\0", b"\0\0\0\0\0\0", b"\1\2\3", b"\xff")


class Datagram(NamedTuple):
    """One drawn datagram and the exporter it comes from."""

    payload: bytes
    address: bytes


class Definition(NamedTuple):
    """A drawn template: (pen or None, element, length) in wire order."""

    fields: tuple[tuple[int | None, int, int], ...]
    scope_count: int = 0
    options: bool = False


Table = dict[tuple[bytes, int, int], dict[int, Definition]]


@st.composite
def field_lists(draw: st.DrawFn, version: int, least: int = 1) -> tuple:
    """Draw fields with repeats, enterprise numbers, reduced sizes and variable lengths."""
    choices = (LENGTHS, LENGTHS, (*LENGTHS, VARIABLE, VARIABLE, VARIABLE), (0, VARIABLE), (0,))
    lengths = draw(st.sampled_from(choices))
    pens = st.sampled_from([None] * 4 + list(ENTERPRISES)) if version == 10 else st.none()
    elements = ELEMENTS if version == 10 else (*ELEMENTS, 33000, 34000, 65535)
    one = st.tuples(pens, st.sampled_from(elements), st.sampled_from(lengths))
    return tuple(draw(st.lists(one, min_size=least, max_size=6)))


@st.composite
def definitions(draw: st.DrawFn, version: int) -> Definition:
    """Draw a template, or one time in three an options template."""
    fields = draw(field_lists(version))
    if draw(st.integers(0, 2)):
        return Definition(fields)
    if version == 9:
        return Definition(fields, draw(st.integers(0, len(fields))), True)
    return Definition(fields, draw(st.sampled_from([1, 1, len(fields)])), True)


def template_record(version: int, template_id: int, definition: Definition) -> bytes:
    """Encode a template record, of the kind that the definition is."""
    specifiers = []
    for pen, element, length in definition.fields:
        if pen is None:
            specifiers.append(struct.pack("!HH", element, length))
        else:
            specifiers.append(struct.pack("!HHI", element | 0x8000, length, pen))
    count, scopes = len(definition.fields), definition.scope_count
    if not definition.options:
        head = struct.pack("!HH", template_id, count)
    elif version == 9:
        head = struct.pack("!HHH", template_id, 4 * scopes, 4 * (count - scopes))
    else:
        head = struct.pack("!HHH", template_id, count, scopes)
    return head + b"".join(specifiers)


@st.composite
def data_records(draw: st.DrawFn, definition: Definition) -> bytes:
    """Draw one record; contents of variable length in either form of their length."""
    parts = []
    for _, _, length in definition.fields:
        octets = length
        if length == VARIABLE:
            octets = draw(st.sampled_from([0, 1, 3, 7, 20, 254, 255, 300]))
            if octets < 255 and draw(st.booleans()):
                parts.append(bytes([octets]))
            else:
                parts.append(b"\xff" + struct.pack("!H", octets))
        seed = draw(st.integers(0, 255))
        parts.append(bytes((seed + 7 * n) & 255 for n in range(octets)))
    return b"".join(parts)


def one_set(set_id: int, body: bytes) -> bytes:
    """Encode a set."""
    return struct.pack("!HH", set_id, 4 + len(body)) + body


@st.composite
def template_sets(draw: st.DrawFn, version: int, table: dict[int, Definition]) -> bytes:
    """Draw a set of one to three (options) templates and withdrawals; `table` learns them."""
    definition = draw(definitions(version))
    options, body = definition.options, b""
    own_id = {(9, False): 0, (9, True): 1, (10, False): 2, (10, True): 3}[version, options]
    for _ in range(draw(st.integers(1, 3))):
        template_id = draw(st.sampled_from(TEMPLATE_IDS))
        what = draw(st.integers(0, 11))
        if what == 0:
            body += struct.pack("!HH", template_id, 0)
            table.pop(template_id, None)
        elif what == 1:
            body += struct.pack("!HH", own_id, 0)
        else:
            table[template_id] = definition
            body += template_record(version, template_id, definition)
        fields = draw(field_lists(version))
        scopes = min(len(fields), definition.scope_count)
        definition = Definition(fields, scopes, options)
    return one_set(own_id, body + draw(st.sampled_from(PADDINGS)))


@st.composite
def data_sets(draw: st.DrawFn, table: dict[int, Definition]) -> bytes:
    """Draw a data set, of a known template where there is one."""
    template_id = draw(st.sampled_from(TEMPLATE_IDS + tuple(table) * 4))
    padding = draw(st.sampled_from(PADDINGS))
    if template_id not in table:
        return one_set(template_id, draw(st.binary(max_size=40)) + padding)
    records = draw(st.lists(data_records(table[template_id]), max_size=4))
    body = b"".join(records)
    if draw(st.integers(0, 4)) == 0:
        body = body[: draw(st.integers(0, len(body)))]
    return one_set(template_id, body + padding)


@st.composite
def v5_datagrams(draw: st.DrawFn) -> bytes:
    """Draw a v5 datagram; its count is not always right."""
    records = draw(st.integers(0, 4))
    count = draw(st.sampled_from([records] * 6 + [0, 1, 30, 65535]))
    seed = draw(st.integers(0, 255))
    body = bytes((seed + 3 * n) & 255 for n in range(48 * records))
    header = struct.pack("!HHIIIIBBH", 5, count, 60_000, 1_700_000_000, seed, 9, 0, 0, 0x4064)
    return header + body + draw(st.sampled_from(PADDINGS))


@st.composite
def datagrams(draw: st.DrawFn, tables: Table) -> Datagram:
    """Draw a well-formed datagram of any version; `tables` has the templates known so far."""
    address = draw(st.sampled_from(ADDRESSES))
    version = draw(st.sampled_from([9, 10, 9, 10, 9, 10, 5]))
    if version == 5:
        return Datagram(draw(v5_datagrams()), address)
    domain = draw(st.sampled_from(DOMAINS))
    table = tables.setdefault((address, version, domain), {})
    sets = []
    for _ in range(draw(st.integers(0, 5))):
        what = draw(st.integers(0, 9))
        if what < 4 or (what < 8 and not table):
            sets.append(draw(template_sets(version, table)))
        elif what < 9:
            sets.append(draw(data_sets(table)))
        else:
            reserved = draw(st.sampled_from([0, 1, 2, 3, 4, 255]))
            sets.append(one_set(reserved, draw(st.sampled_from(PADDINGS))))
    body = b"".join(sets) + draw(st.sampled_from(PADDINGS))
    if version == 9:
        return Datagram(
            struct.pack("!HHIIII", 9, 1, 60_000, 1_700_000_000, 1, domain) + body, address
        )
    header = struct.pack("!HHIII", 10, 16 + len(body), 1_700_000_000, 1, domain)
    return Datagram(header + body, address)


@st.composite
def well_formed(draw: st.DrawFn, most: int = 5) -> list[Datagram]:
    """Draw datagrams in arrival order, none of them damaged."""
    tables: Table = {}
    return [draw(datagrams(tables)) for _ in range(draw(st.integers(1, most)))]


@st.composite
def sequences(draw: st.DrawFn, most: int = 5) -> list[Datagram]:
    """Draw datagrams, half of the time damaged: cut, flipped, spliced, reordered, lied in."""
    drawn = draw(well_formed(most))
    if draw(st.integers(0, 3)) == 0:  # data before its template
        drawn.insert(0, drawn.pop())
    for _ in range(draw(st.sampled_from([0, 0, 1, 1, 2, 3]))):
        at = draw(st.integers(0, len(drawn) - 1))
        how = draw(st.integers(0, len(MUTATIONS) + 2))
        if how < len(MUTATIONS):
            damaged = MUTATIONS[how](draw, drawn[at].payload)
            drawn[at] = Datagram(damaged, drawn[at].address)
        elif how == len(MUTATIONS):
            drawn.insert(draw(st.integers(0, len(drawn))), drawn[at])
        elif how == len(MUTATIONS) + 1:
            drawn.insert(0, drawn.pop(at))
        else:
            noise = draw(st.one_of(st.binary(max_size=80), headed_noise()))
            drawn.insert(at, Datagram(noise, draw(st.sampled_from(ADDRESSES))))
    return drawn


@st.composite
def variable_bodies(draw: st.DrawFn) -> tuple[Datagram, list[Datagram]]:
    """Draw a template with variable lengths, and datagrams of its data, some of them damaged."""
    lengths = draw(st.lists(st.sampled_from([VARIABLE, VARIABLE, 0, 1, 4]), max_size=4))
    definition = Definition(tuple((None, 82, n) for n in [*lengths, VARIABLE]))
    bodies = []
    for _ in range(draw(st.integers(1, 4))):
        body = b"".join(draw(st.lists(data_records(definition), max_size=4)))
        at, octet = draw(st.integers(0, len(body))), draw(st.sampled_from([255, 0, 1, 254, 255]))
        how = draw(st.integers(0, 3))
        if how == 1:
            body = body[: -draw(st.integers(1, 4))]
        elif how == 2:
            body = body[:at] + bytes([octet]) + body[at + 1 :]
        elif how == 3:
            body += bytes([octet]) * draw(st.sampled_from([1, 2, 2, 3, 4]))
        bodies.append(one_set(256, body))
    announced = one_set(0, template_record(9, 256, definition))
    header = struct.pack("!HHIIII", 9, 1, 60_000, 1_700_000_000, 1, 0)
    first, *rest = [Datagram(header + body, ADDRESSES[0]) for body in [announced, *bodies]]
    return first, rest
