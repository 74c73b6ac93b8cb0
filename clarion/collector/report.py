"""The final ledger for people: lines that label themselves, and who sent most."""

from collections.abc import Iterator
from typing import Any

from clarion import units
from clarion.collector.ledger import BUCKETS


def summary_lines(summary: dict[str, Any]) -> Iterator[str]:
    """Yield the lines of a summary as `Ledger.summary` and the service make it."""
    versions = {name: n for name, n in summary["datagrams_by_version"].items() if n}
    losses: dict[str, int] = summary["losses"]
    lost = sum(n for name, n in losses.items() if BUCKETS[name].unit == "records")
    yield _row(
        "records",
        received=summary["records_received"],
        delivered=summary["records_delivered"],
        in_flight=summary["in_flight"],
        lost=lost,
    )
    yield _row("datagrams", received=summary["datagrams_received"], **versions)
    yield _row(
        "templates",
        templates=summary["templates"],
        options_records=summary["options_records"],
        late_records=summary["late_records"],
    )
    for name, n in losses.items():
        if n:
            bucket = BUCKETS[name]
            yield f"lost        {name}: {n:,} {bucket.unit} ({bucket.meaning})"
    if not any(losses.values()):
        yield "lost        nothing"
    sequence = dict(summary["sequence"])
    if sequence.pop("datagrams"):
        yield _row("sequence", **sequence)
    for sink in summary["sinks"]:
        counts = {name: sink[name] for name in ("delivered", "failed", "pending")}
        yield _row("sink", **counts) + f"  {sink['sink']}"
    for exporter in summary["top_exporters"]:
        counts = {name: exporter[name] for name in ("datagrams", "records")}
        yield _row("exporter", **counts) + f"  {exporter['exporter']}"
    if summary["exporters"] > len(summary["top_exporters"]):
        yield f"exporter    and {summary['exporters'] - len(summary['top_exporters']):,} more"
    yield (
        f"run         {units.format_seconds(summary['seconds'])}, "
        f"cpu {units.format_seconds(summary['cpu_seconds'])}, "
        f"peak memory {units.format_octets(summary['peak_rss_bytes'])}, "
        f"{units.format_octets(summary['octets_received'])} received"
    )


def _row(label: str, **counts: int) -> str:
    """Return `label  [a, b]  1, 2`."""
    values = ", ".join(f"{n:,}" for n in counts.values())
    return f"{label:<11} [{', '.join(counts)}]  {values}"
