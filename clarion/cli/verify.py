"""`clarion verify`: what was sent against what arrived."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from clarion.loadgen.verify import Verdict


def verify(
    sink: Annotated[str, typer.Argument(metavar="SINK-URI", help="parquet:DIR or ndjson:FILE.")],
    truth: Annotated[
        Path, typer.Option(metavar="PATH", help="What clarion loadgen --truth wrote.")
    ],
    json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> None:
    """
    Compare what a load generator sent with what a collector delivered, record by record.

    Exit code 0 only when every record arrived once and whole, and nothing else did. The sink must
    hold the flows of that run alone.

    Example: `clarion verify --truth truth.jsonl parquet:./flows`
    """
    import json as json_text
    import sys

    from clarion.loadgen import verify as comparison
    from clarion.loadgen.delivered import open_delivered
    from clarion.loadgen.truth import read_truth

    sent = read_truth(truth)
    verdict = comparison.verify(sent, open_delivered(sink))
    if json:
        print(json_text.dumps(verdict.summary()))
    elif sys.stdout.isatty():
        _show(verdict)
    else:
        print("\n".join(f"{name:<12}{count:,}" for name, count, _ in _lines(verdict)))
    if not verdict.good:
        raise typer.Exit(1)


def _lines(verdict: "Verdict") -> list[tuple[str, int, str]]:
    """Return name, count and meaning of each line of the table."""
    return [
        ("sent", verdict.sent, "records, by the truth file"),
        ("ok", verdict.ok, "arrived with every column as sent"),
        ("lost", verdict.lost, "did not arrive"),
        ("duplicate", verdict.duplicate, "arrived more often than sent"),
        ("corrupt", verdict.corrupt, "arrived with another value in some column"),
        ("unexpected", verdict.unexpected, "arrived, of no record sent (from another run?)"),
    ]


def _show(verdict: "Verdict") -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(caption=f"{len(verdict.columns)} columns compared")
    table.add_column("records")
    table.add_column("count", justify="right")
    table.add_column("")
    for name, count, meaning in _lines(verdict):
        wrong = count and name not in ("sent", "ok")
        table.add_row(name, f"{count:,}", meaning, style="red" if wrong else None)
    Console().print(table)
