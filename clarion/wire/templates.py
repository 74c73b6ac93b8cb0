"""
Templates: their records parsed, and the table of those in force.

Definitions: RFC 3954 5.2, 6.1 (v9); RFC 7011 3.4.1, 3.4.2, 8 (IPFIX). Template sets are rare and
mostly repeats, so they are parsed one by one, and each distinct set only once.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from clarion.wire.constants import (
    ENTERPRISE_BIT,
    FIRST_DATA_SET,
    IPFIX,
    IPFIX_OPTIONS_SET,
    IPFIX_TEMPLATE_SET,
    PEN_V9_SCOPE,
)
from clarion.wire.faults import Fault
from clarion.wire.layout import FieldSpecifier, Layout, layout
from clarion.wire.octets import Int64s


class Definition(NamedTuple):
    """
    One template record; `layout` is None where it withdraws (or spoils) the template.

    `template_id` 2 or 3 with no layout withdraws all templates or all options templates.
    `offset` is in octets from the start of the set's body.
    """

    template_id: int
    offset: int
    layout: Layout | None
    fault: Fault | None = None


@dataclass(frozen=True, slots=True)
class TemplateEvent:
    """
    A template record seen in a batch.

    Attributes:
        datagram: row of the batch.
        set_number: ordinal of the set in the datagram.
        offset: octets from the start of the datagram.
        session: row of the decoder's sessions.
        template_id: id it defines or withdraws.
        layout: None where it withdraws, or is malformed.

    """

    datagram: int
    set_number: int
    offset: int
    session: int
    template_id: int
    layout: Layout | None


class ParsedSet(NamedTuple):
    """A template set's records, and where and how it is malformed, if it is."""

    definitions: tuple[Definition, ...]
    faults: tuple[tuple[int, Fault], ...]


def parse_template_set(body: bytes, *, version: int, options: bool, max_fields: int) -> ParsedSet:
    """
    Parse the body of a template set or options template set (behind its 4-octet header).

    Never raises: what cannot be parsed is a fault, and what came before it is kept.
    """
    # Routers repeat small sets; what is large, and may be made up, must not fill the memory.
    parse = _parse_cached if len(body) <= _CACHED_OCTETS else _parse
    return parse(body, version, options, max_fields)


def _parse(body: bytes, version: int, options: bool, max_fields: int) -> ParsedSet:
    definitions: list[Definition] = []
    faults: list[tuple[int, Fault]] = []
    at = 0
    while len(body) - at >= 4:
        found, size = _parse_record(body, at, version, options, max_fields)
        if found is None:
            if body[at:].strip(b"\0"):
                faults.append((at, Fault.BAD_TEMPLATE))
            break
        definitions.append(found)
        if found.fault is not None:
            faults.append((at, found.fault))
        if not size:
            break
        at += size
    return ParsedSet(tuple(definitions), tuple(faults))


_CACHED_OCTETS = 1500
_parse_cached = lru_cache(maxsize=512)(_parse)


def _parse_record(
    body: bytes, at: int, version: int, options: bool, max_fields: int
) -> tuple[Definition | None, int]:
    """
    Return the template record at `at` and its octets.

    No definition: the id is none. Size 0: the rest of the set cannot be read.
    """
    template_id, count = struct.unpack_from("!HH", body, at)
    if version == IPFIX and count == 0:
        every = IPFIX_OPTIONS_SET if options else IPFIX_TEMPLATE_SET
        if template_id >= FIRST_DATA_SET or template_id == every:
            return Definition(template_id, at, None), 4
        return None, 0
    if template_id < FIRST_DATA_SET:
        return None, 0
    if count == 0 and not options:
        return Definition(template_id, at, None), 4
    spoilt = Definition(template_id, at, None, Fault.BAD_TEMPLATE)
    head, scope_count = 4, 0
    if options:
        head = 6
        if len(body) - at < head:
            return spoilt, 0
        (second,) = struct.unpack_from("!H", body, at + 4)
        if version == IPFIX:
            scope_count = second
        else:  # v9 gives octets of scope fields and octets of option fields
            if count % 4 or second % 4:
                return spoilt, 0
            scope_count, count = count // 4, (count + second) // 4
            if count == 0:
                return Definition(template_id, at, None), head
    fields: list[FieldSpecifier] = []
    end = at + head
    for number in range(count):
        if len(body) - end < 4:
            return spoilt, 0
        element, length = struct.unpack_from("!HH", body, end)
        end += 4
        pen = 0
        if version == IPFIX:
            if element & ENTERPRISE_BIT:
                if len(body) - end < 4:
                    return spoilt, 0
                (pen,) = struct.unpack_from("!I", body, end)
                element &= ~ENTERPRISE_BIT
                end += 4
        elif number < scope_count:
            pen = PEN_V9_SCOPE
        fields.append(FieldSpecifier(pen, element, length))
    size = end - at
    if version == IPFIX and options and not 0 < scope_count <= count:
        return spoilt, size
    if count > max_fields:
        return spoilt._replace(fault=Fault.TEMPLATE_LIMIT), size
    compiled = layout(version, fields, scope_count=scope_count, options=options)
    return Definition(template_id, at, compiled), size


class Change(NamedTuple):
    """A key takes another layout (-1: none) for data sets behind `position` of the set table."""

    key: int
    position: int
    layout: int


class _Known(NamedTuple):
    """
    One session's templates: template id -> layout number, those for flows and for options apart
    (they share one space of ids), so that withdrawing all of a kind touches only that kind.
    """

    data: dict[int, int]
    options: dict[int, int]

    def number(self, template_id: int) -> int:
        found = self.data.get(template_id, -1)
        return found if found >= 0 else self.options.get(template_id, -1)

    def put(self, template_id: int, number: int, *, options: bool) -> None:
        self.drop(template_id)
        (self.options if options else self.data)[template_id] = number

    def drop(self, template_id: int) -> None:
        self.data.pop(template_id, None)
        self.options.pop(template_id, None)

    def pairs(self) -> Iterator[tuple[int, int]]:
        yield from self.data.items()
        yield from self.options.items()


class TemplateTable:
    """
    The templates in force: session and template id -> layout, looked up for many sets at once.

    A key is `session << 16 | template_id`. Definitions met in a batch are first noted as changes
    with their position, so that data sets before a redefinition keep the old layout, and are
    merged into the table when the batch is done.
    """

    def __init__(self, *, max_templates: int, max_per_session: int) -> None:
        self.layouts: list[Layout] = []  # every layout in use, by number
        self._max_templates = max_templates
        self._max_per_session = max_per_session
        self._numbers: dict[Layout, int] = {}
        self._sessions: dict[int, _Known] = {}
        self._size = 0
        self._changes: list[Change] = []
        self._keys = np.zeros(0, np.int64)  # sorted; as of the last merge
        self._values = np.zeros(0, np.int64)

    def __len__(self) -> int:
        return self._size

    def current(self, session: int, template_id: int) -> Layout | None:
        """Return the layout in force after all definitions so far."""
        known = self._sessions.get(session)
        number = known.number(template_id) if known else -1
        return None if number < 0 else self.layouts[number]

    def apply(self, definition: Definition, session: int, position: int) -> bool:
        """
        Note a definition at a position of the set table; a repeat changes nothing.

        Returns False where the table is full.
        """
        template_id, compiled = definition.template_id, definition.layout
        known = self._sessions.get(session)
        if known is None:
            known = self._sessions[session] = _Known({}, {})
        if template_id < FIRST_DATA_SET:
            every = known.options if template_id == IPFIX_OPTIONS_SET else known.data
            for other in list(every):
                self._withdraw(known, session, other, position)
        elif compiled is None:
            if known.number(template_id) >= 0:
                self._withdraw(known, session, template_id, position)
        else:
            new, old = self._number(compiled), known.number(template_id)
            if new == old:
                return True
            if old < 0:
                if (
                    self._size >= self._max_templates
                    or len(known.data) + len(known.options) >= self._max_per_session
                ):
                    return False
                self._size += 1
            known.put(template_id, new, options=compiled.options)
            self._changes.append(Change(session << 16 | template_id, position, new))
        return True

    def lookup(self, key: Int64s, position: Int64s) -> Int64s:
        """Return the layout number in force for each key at each position, -1 for none."""
        found = np.full(len(key), -1)
        if len(self._keys):
            at = np.searchsorted(self._keys, key)
            at[at == len(self._keys)] = 0
            found = np.where(self._keys[at] == key, self._values[at], -1)
        if self._changes:
            changes = np.array(self._changes, np.int64)
            last = _search(changes, key, position) - 1
            chosen = changes[np.maximum(last, 0)]
            applies = (last >= 0) & (chosen[:, 0] == key)
            found = np.where(applies, chosen[:, 2], found)
        return found

    def next_definition(self, key: Int64s, position: Int64s) -> Int64s:
        """Return the layout number of the first definition behind each position, -1 for none."""
        defining = [change for change in self._changes if change.layout >= 0]
        if not defining:
            return np.full(len(key), -1)
        changes = np.array(defining, np.int64)
        first = _search(changes, key, position)
        chosen = changes[np.minimum(first, len(changes) - 1)]
        applies = (first < len(changes)) & (chosen[:, 0] == key)
        return np.where(applies, chosen[:, 2], -1)

    def merge(self) -> None:
        """Make the changes part of the table, and forget layouts that are out of use."""
        if not self._changes:
            return
        self._changes = []
        if len(self.layouts) > 2 * self._size + 256:
            self._compact()
        keys = np.fromiter(
            (s << 16 | t for s, known in self._sessions.items() for t, _ in known.pairs()),
            np.int64,
            self._size,
        )
        values = np.fromiter(
            (n for known in self._sessions.values() for _, n in known.pairs()),
            np.int64,
            self._size,
        )
        order = np.argsort(keys)
        self._keys, self._values = keys[order], values[order]

    def _withdraw(self, known: "_Known", session: int, template_id: int, position: int) -> None:
        known.drop(template_id)
        self._size -= 1
        self._changes.append(Change(session << 16 | template_id, position, -1))

    def _compact(self) -> None:
        old = self.layouts
        self.layouts, self._numbers = [], {}
        for known in self._sessions.values():
            for part in (known.data, known.options):
                for template_id, number in part.items():
                    part[template_id] = self._number(old[number])

    def _number(self, compiled: Layout) -> int:
        number = self._numbers.get(compiled)
        if number is None:
            number = self._numbers[compiled] = len(self.layouts)
            self.layouts.append(compiled)
        return number


def _search(changes: NDArray[np.int64], key: Int64s, position: Int64s) -> Int64s:
    """
    Sort changes (C, 3) in place by (key, position) and return, for each key and position, the
    place of the first change behind it.
    """
    changes[:] = changes[np.lexsort((changes[:, 1], changes[:, 0]))]
    changed, rank = np.unique(changes[:, 0], return_inverse=True)
    span = int(max(position.max(initial=0), changes[:, 1].max())) + 2
    own = np.searchsorted(changed, key)  # a key without changes takes its neighbour's place
    return np.searchsorted(rank * span + changes[:, 1], own * span + position, side="right")
