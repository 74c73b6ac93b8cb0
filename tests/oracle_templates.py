"""The oracle's templates and records: RFC 3954 5.2, 6.1 and RFC 7011 3.4.1, 3.4.2, 7."""

import struct
from typing import NamedTuple

VARIABLE = 65535
V9_SCOPE = -1  # stands where IPFIX has an enterprise number: a v9 scope type


class Field(NamedTuple):
    pen: int
    element: int
    length: int


class Template(NamedTuple):
    fields: tuple[Field, ...]
    scope_count: int = 0
    options: bool = False

    def minimum(self) -> int:
        return sum(1 if f.length == VARIABLE else f.length for f in self.fields)


def read_record(data, at, end, template) -> tuple[tuple, int]:
    """One record: its values and the offset after it, -1 where it would run past `end`."""
    values = []
    for pen, element, declared in template.fields:
        length = declared
        if declared == VARIABLE:
            if end - at < 1:
                return (), -1
            length = data[at]
            at += 1
            if length == 255:
                if end - at < 2:
                    return (), -1
                (length,) = struct.unpack_from("!H", data, at)
                at += 2
        if end - at < length:
            return (), -1
        values.append(((pen, element), bytes(data[at : at + length])))
        at += length
    return tuple(values), at


def read_template(data, at, end, version, options) -> tuple[Template | None, int]:
    """A template record, or IPFIX's options template: the template and the offset after it."""
    (count,) = struct.unpack_from("!H", data, at + 2)
    scopes = 0
    at += 4
    if options:
        if end - at < 2:
            return None, -1
        (scopes,) = struct.unpack_from("!H", data, at)
        at += 2
    fields = []
    for _ in range(count):
        if end - at < 4:
            return None, -1
        element, length = struct.unpack_from("!HH", data, at)
        at += 4
        pen = 0
        if version == 10 and element & 0x8000:
            if end - at < 4:
                return None, -1
            (pen,) = struct.unpack_from("!I", data, at)
            element &= 0x7FFF
            at += 4
        fields.append(Field(pen, element, length))
    if options and not 0 < scopes <= count:
        return None, at
    return Template(tuple(fields), scopes, options), at


def read_v9_options(data, at, end, _version, _options) -> tuple[Template | None, int]:
    """A v9 options template: lengths in octets, scope fields first."""
    if end - at < 6:
        return None, -1
    scope_octets, option_octets = struct.unpack_from("!HH", data, at + 2)
    at += 6
    if scope_octets % 4 or option_octets % 4 or end - at < scope_octets + option_octets:
        return None, -1
    pairs = list(struct.iter_unpack("!HH", data[at : at + scope_octets + option_octets]))
    scopes = scope_octets // 4
    fields = [Field(V9_SCOPE if i < scopes else 0, *pair) for i, pair in enumerate(pairs)]
    return Template(tuple(fields), scopes, True), at + scope_octets + option_octets
