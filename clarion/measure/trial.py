"""
One trial: a collector of its own, a load, and the account of both.

Everything is bounded in time, runs on loopback, and is gone at the end: processes, port, files.
"""

import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from clarion.errors import MeasurementError, UsageError
from clarion.measure.children import Child, Event, child
from clarion.measure.interference import busy, others_share
from clarion.measure.judge import Collected, Sample, Sent, judge
from clarion.measure.search import Outcome
from clarion.measurement import Trial

CLARION = (sys.executable, "-m", "clarion")

_READY_S = 20.0
_SETTLE_S = 2.0  # for what is in the socket when sending ends
_DRAIN_S = 30.0  # for the collector to deliver what it holds
_PROGRESS_S = 0.1
_ROW_OCTETS = 80  # on disk, more than a row takes; to refuse a trial that would fill it

# The user's tuning holds in a trial; what would send its flows elsewhere, or stop it, does not.
_TUNING = ("UDP_RCVBUF", "QUEUE_OCTETS", "BATCH_SIZE", "BATCH_INTERVAL")
_PREFIX = "CLARION_COLLECTOR_"


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """
    What stays the same over all trials.

    `sink` is a URI; `parquet` and `parquet:DIR` write to a temporary folder (in DIR) that is
    removed. The processors are numbers, or None: not pinned.
    """

    protocol: str = "v9"
    exporters: int = 8
    sink: str = "parquet"
    seed: int = 1
    gso: bool = False
    collector_cpu: int | None = None
    tester_cpu: int | None = None
    clarion: Sequence[str] = field(default=CLARION)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """
    A trial and what else was seen of it.

    `row_octets` is what the sink stored per record, None where it stores nothing; `rcvbuf_octets`
    what the socket may hold, as the kernel charges it.
    """

    trial: Trial
    outcome: Outcome
    sent: Sent
    row_octets: float | None
    rcvbuf_octets: int | None


def processors(available: set[int]) -> tuple[int | None, int | None]:
    """The collector's and the tester's processor: the last and the first, where there are two."""
    return (max(available), min(available)) if len(available) >= 2 else (None, None)


def run_trial(setup: Setup, fps: float, seconds: float, *, width: float) -> Run:
    """
    Offer `fps` records per second for `seconds` to a new collector.

    Raises:
        MeasurementError: a process failed, or the disk has no room for the rows.
    """
    with _sink(setup.sink, fps * seconds) as (uri, stored):
        command = [
            *setup.clarion, "collect", "--bind-host", "127.0.0.1", "--netflow-port", "0",
            "--ipfix-port", "0", "--sflow-port", "0", "--sink", uri, "--json",
            "--progress-interval", str(_PROGRESS_S),
            # Were we killed, it would still end.
            "--duration", f"{seconds + _READY_S + _DRAIN_S:g}s",
        ]  # fmt: skip
        if setup.collector_cpu is not None:
            command += ["--cpu-affinity", str(setup.collector_cpu)]
        with child("clarion collect", command, _environ(os.environ)) as collector:
            ready = collector.wait_for("ready", _READY_S)
            port = _number(ready, "ipfix_port" if setup.protocol == "ipfix" else "netflow_port")
            collector.wait_for("progress", _READY_S)
            before, used = busy(setup.collector_cpu), _cpu_seconds(collector)
            sent = offer(setup, fps, seconds, int(port))
            others = others_share(before, busy(setup.collector_cpu), _cpu_seconds(collector) - used)
            _settle(collector, sent.records)
            collector.process.send_signal(signal.SIGTERM)
            code = collector.wait(_DRAIN_S)
            last = collector.latest("summary")
            if last is None or code not in (0, 1):
                raise collector.failed(code)
            progress = [_sample(event) for event in collector.all_of("progress")]
        trial, outcome = judge(sent, _collected(last), progress, width=width)
        trial = replace(trial, others_cores=others)
        size = stored()
    return Run(
        trial=trial,
        outcome=outcome,
        sent=sent,
        row_octets=size / trial.records_delivered if size and trial.records_delivered else None,
        rcvbuf_octets=progress[-1].rcvbuf if progress else None,
    )


def offer(setup: Setup, fps: float, seconds: float, port: int) -> Sent:
    """
    Run the load generator against a port of 127.0.0.1.

    Raises:
        MeasurementError: it failed; that it fell short of the rate is no failure.
    """
    command = [
        *setup.clarion, "loadgen", "--fps", f"{fps:.3f}", "--duration", f"{seconds:g}s",
        "--protocol", setup.protocol, "--target", f"127.0.0.1:{port}",
        "--exporters", str(setup.exporters), "--seed", str(setup.seed), "--json", "--quiet",
    ]  # fmt: skip
    if setup.gso:
        command.append("--gso")
    if setup.tester_cpu is not None:
        command += ["--cpu", str(setup.tester_cpu)]
    with child("clarion loadgen", command) as tester:
        code = tester.wait(seconds + _READY_S)
        summary = tester.latest("summary")
        if summary is None or code not in (0, 1):
            raise tester.failed(code)
        sent = _sent(summary)
        if code == 1 and not sent.unsent:
            raise tester.failed(code)
    return sent


def _environ(environ: Mapping[str, str]) -> dict[str, str]:
    """Ours, without the collector's settings that are not tuning."""
    tuning = {_PREFIX + name for name in _TUNING}
    return {
        name: value
        for name, value in environ.items()
        if not name.startswith(_PREFIX) or name in tuning
    }


@contextmanager
def _sink(wanted: str, records: float) -> "Iterator[tuple[str, Any]]":
    """The sink's URI and a function for what it stored in octets; parquet goes to a new folder."""
    scheme, _, place = wanted.partition(":")
    if scheme != "parquet":
        yield wanted, lambda: 0
        return
    if place and not Path(place).is_dir():
        raise UsageError(f"sink {wanted!r}: no folder {place!r}; make it, or use --sink parquet")
    folder = Path(tempfile.mkdtemp(prefix="clarion-measure-", dir=place or None))
    try:
        free = shutil.disk_usage(folder).free
        if free < records * _ROW_OCTETS:
            raise MeasurementError(
                f"{folder.parent} has {free / 2**20:,.0f} MiB left and the trial may write "
                f"{records * _ROW_OCTETS / 2**20:,.0f} MiB; make room, or --sink parquet:DIR on "
                "another disk, or --sink null:"
            )
        yield (
            f"parquet:{folder}",
            lambda: sum(path.stat().st_size for path in folder.rglob("*.parquet")),
        )
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _settle(collector: Child, records: int) -> None:
    """Wait until the collector has received everything, or has stopped receiving."""
    deadline = time.monotonic() + _SETTLE_S
    seen, since = -1, time.monotonic()
    while (now := time.monotonic()) < deadline and collector.process.poll() is None:
        latest = collector.latest("progress")
        received = int(_number(latest, "records_received")) if latest else 0
        if received >= records or (received == seen and now - since > 5 * _PROGRESS_S):
            return
        if received != seen:
            seen, since = received, now
        time.sleep(_PROGRESS_S / 2)


def _cpu_seconds(collector: Child) -> float:
    latest = collector.latest("progress")
    return _number(latest, "cpu_seconds") if latest else 0.0


def _sample(event: Event) -> Sample:
    return Sample(
        at=event.at,
        datagrams_received=int(_number(event, "datagrams_received")),
        records_received=int(_number(event, "records_received")),
        socket_fill=int(_number(event, "socket_fill")),
        rcvbuf=int(_number(event, "rcvbuf")),
        queue_octets=int(_number(event, "queue_octets")),
        cpu_seconds=_number(event, "cpu_seconds"),
    )


def _sent(event: Event) -> Sent:
    return Sent(
        ended_at=event.at,
        intended_fps=_number(event, "intended_fps"),
        sent_fps=_number(event, "sent_fps"),
        records=int(_number(event, "records_sent")),
        unsent=int(_number(event, "records_unsent")),
        datagrams=int(_number(event, "datagrams_sent")),
        octets=int(_number(event, "octets_sent")),
        records_per_datagram=_number(event, "records_per_datagram"),
        seconds=_number(event, "seconds"),
    )


def _collected(event: Event) -> Collected:
    losses = event.values.get("losses")
    return Collected(
        received=int(_number(event, "records_received")),
        delivered=int(_number(event, "records_delivered")),
        in_flight=int(_number(event, "in_flight")),
        losses={str(name): int(count) for name, count in losses.items()}
        if isinstance(losses, dict)
        else {},
        cpu_seconds=_number(event, "cpu_seconds"),
        peak_rss_bytes=int(_number(event, "peak_rss_bytes")),
    )


def _number(event: Event, key: str) -> float:
    value = event.values.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise MeasurementError(
            f"{event.name} line has {key} {value!r}, wanted a number; are both commands of this "
            "version of clarion?"
        )
    return value
