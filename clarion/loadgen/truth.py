"""
The truth file: what a run sent, and the flow rows that a collector must make of it.

Rule: the file keeps the run's settings and counts only, however long the run. Every record is a
function of them (see `script`), so the rows are made again, in pieces of bounded size, when they
are to be compared. A hash of the encoded traffic shows when another version of numpy or Clarion
would make different ones.

    {"event": "run", "config": {...}, "start_ms", "own_address", "records", "data_datagrams", ...}
    {"event": "exporter", "number", "address", "domain", ..., "records", "datagrams"}    K lines
"""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from clarion import __version__
from clarion.errors import UsageError
from clarion.flows.addresses import ipv4_text, ipv6_text, mac_text
from clarion.flows.schema import FLOW_SCHEMA
from clarion.loadgen.config import Config, Protocol, Refresh
from clarion.loadgen.runner import Result
from clarion.loadgen.script import Script, Stock, make_script
from clarion.wire.constants import IPFIX, V5

Int64s = NDArray[np.int64]

_CHUNK_ROWS: Final = 262_144
_FORMAT: Final = 1


@dataclass(frozen=True, slots=True)
class Truth:
    """
    A run as it was.

    Attributes:
        script: what was planned.
        data_datagrams: how many of its data datagrams were sent: the first ones.

    """

    script: Script
    data_datagrams: int

    @property
    def records(self) -> int:
        """Data records sent."""
        return self.script.schedule.records_through(self.data_datagrams)

    @property
    def schema(self) -> pa.Schema:
        """
        The flow columns that the protocol carries, as they are compared.

        Names and types of FLOW_SCHEMA, but times are milliseconds since 1970 as int64 and
        switch_id is plain text.
        """
        carried = {"switch_id", "observation_domain", "protocol_version"}
        for stock in self.script.stocks:
            carried.update(stock.kind.columns)
        plain = {"flow_start": pa.int64(), "flow_end": pa.int64(), "switch_id": pa.string()}
        return pa.schema(
            [
                pa.field(field.name, plain.get(field.name, field.type))
                for field in FLOW_SCHEMA
                if field.name in carried
            ]
        )

    def tables(self, *, chunk_rows: int = _CHUNK_ROWS) -> Iterator[pa.Table]:
        """Return the rows of all records sent, in pieces of about `chunk_rows`, of `schema`."""
        schema = self.schema
        script = self.script
        pools = [_pool_table(stock, schema) for stock in script.stocks]
        step = max(1, chunk_rows // script.schedule.records)
        for first in range(0, self.data_datagrams, step):
            datagram = np.arange(first, min(first + step, self.data_datagrams), dtype=np.int64)
            ordinal = script.schedule.ordinal(datagram)
            ipv6 = script.schedule.ipv6(ordinal)
            for stock, pool in zip(script.stocks, pools, strict=True):
                mine = ipv6 == stock.kind.ipv6 if len(script.stocks) > 1 else slice(None)
                if len(datagram[mine]):
                    yield _rows(script, stock, pool, datagram[mine], schema)


def write_truth(path: Path, result: Result) -> None:
    """Write the truth of a finished run; raises UsageError where the file cannot be written."""
    script, sent = result.script, result.totals.data_datagrams
    schedule, exporters = script.schedule, script.exporters
    datagrams = schedule.sent_by(sent)
    records = datagrams * schedule.records
    if sent:
        short = sent * schedule.records - schedule.records_through(sent)
        records[schedule.exporter(np.array([sent - 1]))] -= short
    run = {
        "event": "run",
        "format": _FORMAT,
        "clarion": __version__,
        "numpy": np.__version__,
        "config": asdict(script.config),
        "start_ms": script.start_ms,
        "own_address": script.own_address,
        "records_per_datagram": schedule.records,
        "burst": schedule.burst,
        "data_datagrams": sent,
        "records": schedule.records_through(sent),
        "traffic_sha256": script.digest(),
    }
    lines = [json.dumps(run)]
    for number in range(len(exporters)):
        line = {
            "event": "exporter",
            "number": number,
            "address": exporters.address[number],
            "domain": int(exporters.domain[number]),
            "uptime_ms": int(exporters.uptime_ms[number]),
            "template_id": int(exporters.template_id[number]),
            "shift": int(exporters.shift[number]),
            "datagrams": int(datagrams[number]),
            "records": int(records[number]),
        }
        lines.append(json.dumps(line))
    try:
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    except OSError as err:
        raise UsageError(f"cannot write truth file {path}: {err.strerror}") from err


def read_truth(path: Path) -> Truth:
    """
    Read a truth file and plan its run again.

    Raises:
        UsageError: no such file, not a truth file, or one whose records this installation would
            make differently.

    """
    try:
        with path.open(encoding="utf-8") as file:
            run: dict[str, Any] = json.loads(file.readline())
        if run["format"] != _FORMAT:
            raise UsageError(f"truth file {path}: format {run['format']!r}, wanted {_FORMAT}")
        settings = dict(run["config"])
        settings["protocol"] = Protocol(settings["protocol"])
        settings["refresh"] = Refresh(**settings["refresh"])
        config = Config(**settings)
        start_ms, address = int(run["start_ms"]), str(run["own_address"])
        sent, digest = int(run["data_datagrams"]), run["traffic_sha256"]
    except OSError as err:
        raise UsageError(f"cannot read truth file {path}: {err.strerror}") from err
    except (ValueError, KeyError, TypeError) as err:
        raise UsageError(
            f"{path} is not a truth file; write one with clarion loadgen --truth PATH"
        ) from err
    script = make_script(config, own_address=address, start_ms=start_ms)
    if script.digest() != digest:
        raise UsageError(
            f"truth file {path} was written by clarion {run.get('clarion')} with numpy "
            f"{run.get('numpy')}, whose traffic this installation does not make; verify with those"
        )
    return Truth(script, sent)


def _pool_table(stock: Stock, schema: pa.Schema) -> pa.Table:
    """Return the pool's records as flow columns, those that do not depend on time or sender."""
    arrays: dict[str, Any] = {}
    for name in schema.names:
        column = stock.pool.columns.get(name)
        if column is None or name not in stock.kind.columns:
            continue
        if name.endswith("_mac"):
            arrays[name] = mac_text(column)
        elif column.ndim == 2:
            arrays[name] = ipv6_text(column)
        elif pa.types.is_string(schema.field(name).type):
            arrays[name] = ipv4_text(column)
        else:
            arrays[name] = pa.array(column).cast(schema.field(name).type)
    return pa.table(arrays)


def _rows(
    script: Script, stock: Stock, pool: pa.Table, datagram: Int64s, schema: pa.Schema
) -> pa.Table:
    """Return the rows of some data datagrams of one address family, in their order."""
    schedule, exporters = script.schedule, script.exporters
    version, n = script.config.protocol.version, schedule.records
    exporter, ordinal = schedule.exporter(datagram), schedule.ordinal(datagram)
    place = np.arange(n)
    present = (place < schedule.count(datagram)[:, None]).ravel()
    row = script.pool_row(exporter, ordinal)[:, None] * n + place
    row = row.ravel()[present]
    # The clock of the header, as precise as the protocol writes it: v9 has whole seconds, and
    # IPFIX's record times do not depend on it.
    clock = script.start_ms + schedule.due_ms(datagram)
    if version not in (V5, IPFIX):
        clock -= clock % 1000
    clock = np.repeat(clock, n)[present]
    sender = np.repeat(exporter, n)[present]
    taken = pool.take(row)
    made: dict[str, Any] = {
        "flow_start": clock - stock.pool.start_age[row],
        "flow_end": clock - stock.pool.end_age[row],
        "switch_id": pa.array(exporters.address).take(sender),
        "observation_domain": exporters.domain[sender].astype(np.uint32),
        "protocol_version": np.full(len(row), version, np.uint8),
    }
    columns = [
        pa.array(made[name], schema.field(name).type) if name in made else taken.column(name)
        for name in schema.names
    ]
    return pa.table(columns, schema=schema)
