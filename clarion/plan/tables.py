"""
A plan as tables: aligned lines, Markdown, CSV, or rich tables on a terminal.

Rule: the four forms carry the same rows; only the CSV has unrounded numbers. rich is imported
only where a terminal is drawn.
"""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass

from clarion import units
from clarion.plan.demand import Source
from clarion.plan.model import Term
from clarion.plan.planner import Plan, sysctl
from clarion.plan.resources import Resource

_STYLES = {"measured": "green", "given": "cyan", "assumed": "yellow"}
_SENTENCES = {
    Term.ARITHMETIC: "peak x margin / capacity",
    Term.STALLS: "as above, at {cap:.0%} of capacity: level {drain:g} s after a {stall:g} s pause",
    Term.IMBALANCE: "busiest instance, {exporters} {weights} exporters hashed",
    Term.REDUNDANCY: "peak without margin, {spare} instance(s) lost",
}


@dataclass(frozen=True, slots=True)
class Table:
    """A title, the columns, and rows of text; columns named in `right` hold numbers."""

    title: str
    columns: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    right: frozenset[str] = frozenset()


def tables(plan: Plan) -> list[Table]:
    """The three tables of a plan: the answer, the resources, the load levels."""
    return [_answer(plan), _resources(plan), _levels(plan)]


def plain(plan: Plan) -> str:
    """Aligned lines for a pipe or a log."""
    return "\n".join([*(_aligned(table) for table in tables(plan)), _tail(plan)])


def markdown(plan: Plan) -> str:
    """Pipe tables, one heading each."""
    parts = []
    for table in tables(plan):
        marks = ["---:" if name in table.right else "---" for name in table.columns]
        lines = [f"## {table.title}", "", _pipes(table.columns), _pipes(marks)]
        parts.append("\n".join([*lines, *(_pipes(row) for row in table.rows)]))
    notes = [f"- {note}" for note in plan.notes]
    return "\n\n".join([*parts, "\n".join([*notes, f"- `{sysctl(plan)}`"])]) + "\n"


def to_csv(plan: Plan) -> str:
    """One row a number: table, row, column, value, unit, source."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["table", "row", "column", "value", "unit", "source"])
    source = str(plan.capacity.source)
    writer.writerow(["answer", "peak", "fps", plan.demand.peak_fps, "records/s", "given"])
    writer.writerow(["answer", "margin", "factor", plan.demand.margin, "", "given"])
    writer.writerow(["answer", "capacity", "fps", plan.capacity.value, "records/s", source])
    writer.writerow(["answer", "at peak", "instances", plan.at_peak, "", source])
    writer.writerow(["answer", "with margin", "instances", plan.with_margin, "", source])
    for term, count in plan.recommended.terms.items():
        shown = "" if count is None else count
        writer.writerow(["answer", f"term {term}", "instances", shown, "", source])
    count = plan.recommended.instances
    writer.writerow(["answer", "recommended", "instances", count, "", source])
    for row in plan.resources:
        for column, value in (("per instance", row.per_instance), ("total", row.total)):
            writer.writerow(["resources", row.name, column, value, row.unit, row.source])
    for level, rows in plan.levels:
        writer.writerow(["levels", level.name, "instances", level.instances, "", source])
        for row in rows:
            value = row.per_instance if row.key == "rcvbuf_octets" else row.total
            writer.writerow(["levels", level.name, row.name, value, row.unit, row.source])
    return out.getvalue()


def show(plan: Plan) -> None:
    """Draw the tables on the terminal; colour marks the source of a number."""
    from rich.console import Console
    from rich.table import Table as RichTable

    console = Console(highlight=False)
    for table in tables(plan):
        drawn = RichTable(title=table.title, title_justify="left", title_style="bold")
        for name in table.columns:
            drawn.add_column(name, justify="right" if name in table.right else "left")
        for row in table.rows:
            drawn.add_row(
                *(f"[{_STYLES[cell]}]{cell}[/]" if cell in _STYLES else cell for cell in row),
                style="bold" if row[0].startswith("recommended") else None,
            )
        console.print(drawn)
    console.print(_tail(plan), markup=False)


def _answer(plan: Plan) -> Table:
    demand, got, conditions = plan.demand, plan.recommended, plan.conditions
    source = str(plan.capacity.source)
    model = Source.ASSUMED  # the stall, or that exporters are even, is assumed in each
    given = str(Source.GIVEN)
    rows = [
        ("peak", units.format_rate(demand.peak_fps), given, ""),
        ("margin", f"{demand.margin:g}", given, ""),
        ("capacity of one", units.format_rate(plan.capacity.value), source, plan.capacity.basis),
        ("instances at peak", str(plan.at_peak), source, "peak / capacity, rounded up"),
    ]
    for term, count in got.terms.items():
        sentence = _SENTENCES[term].format(
            cap=got.utilisation_cap,
            drain=conditions.drain_s,
            stall=conditions.stall_s,
            exporters=conditions.exporters,
            weights=conditions.weights,
            spare=conditions.spare,
        )
        if count is None:
            even = conditions.exporters is None
            sentence = "exporters assumed even" if even else "no number of instances is enough"
        name = "instances" if term is Term.ARITHMETIC else f"  for {term}"
        shown = "-" if count is None else str(count)
        rows.append((name, shown, source if term is Term.ARITHMETIC else str(model), sentence))
    why = f"binds: {got.binding}"
    rows.append(("recommended", str(got.instances), str(model), why))
    return Table("Instances", ("", "value", "source", "how"), rows, frozenset({"value"}))


def _resources(plan: Plan) -> Table:
    count = plan.recommended.instances
    rows = [
        (row.name, _text(row, row.per_instance), _text(row, row.total), str(row.source), row.basis)
        for row in plan.resources
    ]
    return Table(
        f"Resources of {count} instances at peak x {plan.demand.margin:g}",
        ("", "busiest instance", "all", "source", "how"),
        rows,
        frozenset({"busiest instance", "all"}),
    )


def _levels(plan: Plan) -> Table:
    rows = []
    for level, content in plan.levels:
        by_key = {row.key: row for row in content}
        buffer = by_key["rcvbuf_octets"]
        totals = [
            _text(by_key[key], by_key[key].total)
            for key in ("fps", "cores", "memory_octets", "mbit_per_s")
        ]
        rows.append(
            (
                level.name,
                totals[0],
                str(level.instances),
                *totals[1:],
                _text(buffer, buffer.per_instance),
            )
        )
    columns = ("load", "records/s", "instances", "CPU", "memory", "network", "buffer of each")
    return Table("By load, all instances", columns, rows, frozenset(columns[1:]))


def _text(row: Resource, value: float) -> str:
    if row.unit == "records/s":
        return units.format_rate(value)
    if row.unit == "octets":
        return units.format_octets(value)
    if row.unit == "octets/day":
        return f"{value / 1e9:.3g} GB"
    if row.unit == "1/s":
        return f"{value:.4g}/s"
    return f"{value:.3g} {row.unit}"


def _tail(plan: Plan) -> str:
    lines = [f"receive buffer: {sysctl(plan)}", *(f"note: {note}" for note in plan.notes)]
    return "\n".join(lines)


def _aligned(table: Table) -> str:
    every = [table.columns, *table.rows]
    widths = [max(len(row[i]) for row in every) for i in range(len(table.columns))]
    lines = [table.title]
    for row in every:
        cells = [
            cell.rjust(width) if name in table.right else cell.ljust(width)
            for cell, width, name in zip(row, widths, table.columns, strict=True)
        ]
        lines.append(("  " + "  ".join(cells)).rstrip())
    return "\n".join(lines) + "\n"


def _pipes(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"
