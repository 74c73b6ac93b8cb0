"""
Entries as tables for a person: one a layout, under its exporter, domain and template.

A table has its fields as columns where the screen is wide enough, else as rows. Text off the wire
is shown without control characters, so that no exporter can move the reader's cursor.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from rich.console import Console
from rich.text import Text

from clarion.inspect.notes import Entry
from clarion.inspect.values import V9_SCOPES, Value
from clarion.wire.constants import IPFIX, SFLOW, V1, V5, V7, V9
from clarion.wire.elements import DataType, element

_TICKS: Final = {  # of a second
    DataType.DATE_TIME_SECONDS: 1,
    DataType.DATE_TIME_MILLISECONDS: 10**3,
    DataType.DATE_TIME_MICROSECONDS: 10**6,
    DataType.DATE_TIME_NANOSECONDS: 10**9,
}
_TCP_FLAGS: Final = "FSRPAUECN"  # bit 0 upwards (RFC 9293 3.1; NS: RFC 3540)
_TCP_CONTROL_BITS: Final = 6
_UPTIMES: Final = ("21", "22")
_SETS: Final = ("sets", "data_sets", "template_sets", "sets_no_template", "sets_rejected")
_CELL_MAX: Final = 60  # characters; JSON has the whole value


@dataclass(slots=True)
class _Group:
    """Records of one exporter, domain and layout; the first `limit` of them as text."""

    title: str
    header: list[str] = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=list)
    count: int = 0
    late: int = 0


class TableView:
    """
    Collects entries, then prints them.

    Args:
        console: where to print; the width of a terminal decides how a table is laid out.
        limit: records shown of each layout; 0 shows none.

    """

    def __init__(self, console: Console, *, limit: int) -> None:
        self._console = console
        self._limit = limit
        self._groups: dict[tuple[object, ...], _Group] = {}

    def add(self, entry: Entry) -> None:
        """Take an entry; templates make a heading, records a row."""
        name = f"{entry['exporter']}  {_VERSIONS[entry['version']]}  domain {entry['domain']}"
        owner = (entry["exporter"], entry["version"], entry["domain"])
        if entry["kind"] == "template":
            keys = tuple(key.removeprefix("scope.") for key, _, _ in entry["fields"])
            wanted = tuple(key for key in keys if key != "210")
            key = (*owner, entry["id"], wanted)
            if wanted and key not in self._groups:
                what = "options template" if "scope_count" in entry else "template"
                self._groups[key] = _Group(f"{name}  {what} {entry['id']}")
            return
        cells = _cells(entry)
        plain = tuple(k.partition("#")[0] for k in (*entry.get("scope", {}), *entry["fields"]))
        key = (*owner, entry["flowset_id"], plain)
        group = self._groups.get(key)
        if group is None:
            group = self._groups[key] = _Group(f"{name}  {entry['kind'].replace('_', ' ')}s")
        group.count += 1
        group.late += "late" in entry
        if len(group.rows) < self._limit:
            group.header = list(cells)
            group.rows.append([_printable(text) for text in cells.values()])

    def render(self, summary: Entry) -> None:
        """Print all tables, then the summary."""
        for group in sorted(self._groups.values(), key=lambda g: not g.rows):
            late = f", {group.late} late" if group.late else ""
            plural = "" if group.count == 1 else "s"
            self._line(f"{group.title}: {group.count} record{plural}{late}", "bold")
            self._table(group)
            if len(group.rows) < group.count and group.rows:
                self._line(f"  and {group.count - len(group.rows)} more (--limit)", "dim")
            if group.rows:
                self._line("")
        if any(not group.rows for group in self._groups.values()):
            self._line("")
        for label, names, values in _summary_rows(summary):
            self._line(f"{label:<10} [{', '.join(names)}]  {', '.join(map(str, values))}")
        for title, kept in (("problem", "problems"), ("no template", "undecodable_sets")):
            for item in summary[kept][: self._limit]:
                text = item.get("problem") or f"set {item['flowset_id']} of {item['exporter']}"
                self._line(f"{title}: packet {item['packet']}: {text}", "yellow")

    def _table(self, group: _Group) -> None:
        if not group.rows:
            return
        table = [group.header, *group.rows]
        width = self._console.width if self._console.is_terminal else 0
        if not width or _natural_width(table) <= width:
            self._grid(table, head_rows=1)
            return
        labels, rest = group.header, group.rows
        while rest:
            n = len(rest)
            while n > 1 and _natural_width(_turned([labels, *rest[:n]])) > width:
                n -= 1
            self._grid(_turned([labels, *rest[:n]]), head_rows=0)
            rest = rest[n:]
            if rest:
                self._line("")

    def _grid(self, table: list[list[str]], *, head_rows: int) -> None:
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        for number, row in enumerate(table):
            cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            self._line("  " + "  ".join(cells).rstrip(), "cyan" if number < head_rows else "")

    def _line(self, text: str, style: str = "") -> None:
        self._console.print(Text(text, style), soft_wrap=True)


_VERSIONS: Final = {
    V1: "NetFlow v1",
    V5: "NetFlow v5",
    V7: "NetFlow v7",
    V9: "NetFlow v9",
    IPFIX: "IPFIX",
    SFLOW: "sFlow v5",
}


def _cells(entry: Entry) -> dict[str, str]:
    """Return the cells of a record's row, by column name."""
    cells = {"packet": str(entry["packet"])}
    scope = entry.get("scope", {})
    for key, value in scope.items():
        cells["scope " + _name(key, v9_scope=entry["version"] == V9)] = _text(key, value)
    for key, value in entry["fields"].items():
        name = _name(key)
        cells[name if name not in cells else f"{name} ({key})"] = _text(key, value)
    derived = entry.get("derived", {})
    if any(key in entry["fields"] for key in _UPTIMES):
        for name in ("start_ms", "end_ms"):
            at = derived[name]
            cells[name.removesuffix("_ms")] = "-" if at is None else _iso(at, 10**3)
    return cells


def _name(key: str, *, v9_scope: bool = False) -> str:
    number, mark, repeat = key.partition("#")
    pen, _, plain = number.rpartition(".")
    if v9_scope:
        return V9_SCOPES.get(int(plain), number) + mark + repeat
    known = element(int(plain), int(pen or 0))
    return (known.name if known else number) + mark + repeat


def _text(key: str, value: Value) -> str:
    if value is None:
        return "-"
    pen, _, plain = key.partition("#")[0].rpartition(".")
    known = element(int(plain), int(pen or 0))
    if isinstance(value, int) and not isinstance(value, bool) and known:
        if known.type in _TICKS:
            return _iso(value, _TICKS[known.type])
        if (known.pen, known.number) == (0, _TCP_CONTROL_BITS):
            flags = (f if value >> bit & 1 else "." for bit, f in enumerate(_TCP_FLAGS[:8]))
            return "".join(reversed(list(flags)))
    return str(value)


def _iso(at: int, ticks: int) -> str:
    """Write a count of 1/ticks seconds since 1970 as ISO 8601, UTC; a senseless one as it is."""
    try:
        whole = datetime.fromtimestamp(at // ticks, UTC)
    except (ValueError, OverflowError, OSError):
        return str(at)
    digits = len(str(ticks)) - 1
    fraction = f".{at % ticks:0{digits}d}" if digits else ""
    return f"{whole:%Y-%m-%dT%H:%M:%S}{fraction}Z"


def _printable(text: str) -> str:
    shown = "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)
    return shown if len(shown) <= _CELL_MAX else shown[: _CELL_MAX - 3] + "..."


def _natural_width(table: list[list[str]]) -> int:
    return sum(max(map(len, column)) + 2 for column in zip(*table, strict=True))


def _turned(table: list[list[str]]) -> list[list[str]]:
    return [list(column) for column in zip(*table, strict=True)]


def _summary_rows(summary: Mapping[str, Any]) -> Iterable[tuple[str, list[str], list[int]]]:
    frames, tally = summary["frames"], summary["tally"]
    unread = ("not_udp", "other_port", "malformed", "cut", "unassembled")
    kinds = ("v1", "v5", "v7", "v9", "ipfix", "sflow")
    yield "frames", ["read", *unread], [frames["frames"], *(frames[name] for name in unread)]
    datagrams = [tally.get(f"datagrams_{kind}", 0) for kind in kinds]
    yield (
        "datagrams",
        ["received", *kinds, "malformed"],
        [summary["packet_count"], *datagrams, tally.get("malformed", 0)],
    )
    names = ("template_count", "options_template_count")
    yield "templates", ["data", "options"], [summary[name] for name in names]
    yield (
        "records",
        ["flow", "options", "late"],
        [summary[n] for n in ("record_count", "options_record_count", "late_records")],
    )
    yield (
        "sets",
        ["all", *(name.replace("sets_", "") for name in _SETS[1:])],
        [tally.get(name, 0) for name in _SETS],
    )
    yield "sequence", ["jumps"], [summary["sequence_jump_count"]]
