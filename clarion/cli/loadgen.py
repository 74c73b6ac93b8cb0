"""`clarion loadgen`: send flows whose every record is known."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from clarion.loadgen.runner import Result


def loadgen(
    fps: Annotated[
        str, typer.Option(metavar="RATE", help="Flow records a second: 3000, 100k, 10M/h.")
    ] = "3000",
    duration: Annotated[
        str | None, typer.Option(metavar="TIME", help="Stop after this; else on a signal.")
    ] = None,
    protocol: Annotated[
        str, typer.Option(metavar="v5|v9|ipfix", help="What the exporters speak.")
    ] = "v9",
    target: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT", help="Where to. [127.0.0.1:2055, with ipfix 127.0.0.1:4739]"
        ),
    ] = None,
    exporters: Annotated[
        int,
        typer.Option(
            metavar="K", help="Synthetic exporters; on 127.0.0.0/8 each has its own address."
        ),
    ] = 10,
    seed: Annotated[int, typer.Option(help="The same seed sends the same records.")] = 1,
    truth: Annotated[
        Path | None,
        typer.Option(metavar="PATH", help="Write what was sent, for clarion verify."),
    ] = None,
    records_per_datagram: Annotated[
        int | None,
        typer.Option(metavar="N", help="[30 for v5, else what fits 1464 octets, at most 24]"),
    ] = None,
    ipv6_share: Annotated[
        float, typer.Option(metavar="0.0..1.0", help="Share of datagrams with IPv6 flows.")
    ] = 0.0,
    layer2: Annotated[
        bool, typer.Option("--layer2", help="Records carry MAC addresses and VLAN.")
    ] = False,
    template_refresh: Annotated[
        str,
        typer.Option(
            metavar="TIME,N", help="Repeat templates after a time, N datagrams, both, or off."
        ),
    ] = "20s,4096",
    gso: Annotated[
        bool,
        typer.Option(
            "--gso", help="Hand the kernel bursts (UDP_SEGMENT): faster, less like real exporters."
        ),
    ] = False,
    cpu: Annotated[int | None, typer.Option(metavar="N", help="Stay on this processor.")] = None,
    json: Annotated[
        bool, typer.Option("--json", help="Progress and summary as JSON, one object a line.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
) -> None:
    """
    Send NetFlow v5, v9 or IPFIX at a steady rate from many exporters, and say what was sent.

    The rate is kept open loop: a sender that cannot keep up falls behind and says so (exit 1), it
    does not slow its clock. A duration D sends exactly floor(rate × D) records.

    Example: `clarion loadgen --fps 100k --duration 30s --exporters 200 --truth truth.jsonl`
    """
    import json as json_text
    import sys

    from clarion import units
    from clarion.errors import NetError, UsageError
    from clarion.loadgen.config import Config, Protocol, Refresh, parse_target
    from clarion.loadgen.progress import reporter
    from clarion.loadgen.runner import run
    from clarion.loadgen.signals import stop_on_signal
    from clarion.loadgen.truth import write_truth

    if protocol not in list(Protocol):
        raise UsageError(f"protocol {protocol!r}: wanted v5, v9 or ipfix")
    spoken = Protocol(protocol)
    host, port = parse_target(target, spoken)
    config = Config(
        fps=units.rate(fps),
        duration_s=None if duration is None else units.seconds(duration),
        protocol=spoken,
        host=host,
        port=port,
        exporters=exporters,
        seed=seed,
        records_per_datagram=records_per_datagram,
        ipv6_share=ipv6_share,
        layer2=layer2,
        refresh=Refresh.parse(template_refresh),
        gso=gso,
        cpu=cpu,
    )
    if truth is not None:
        _writable(truth)
    with stop_on_signal() as stop, reporter(config, json_lines=json) as report:
        result = run(config, stop=stop, report=(lambda _: None) if quiet else report)
    if truth is not None:
        write_truth(truth, result)
    if json:
        print(json_text.dumps(result.summary()))
    else:
        print("\n".join(_rows(result)))
    if result.totals.failure:
        raise NetError(result.totals.failure)
    if result.totals.unsent:
        print(
            f"clarion: {result.totals.unsent:,} records were due and not sent: this machine is "
            "too slow for the rate; try --gso, or fewer --fps",
            file=sys.stderr,
        )
        raise typer.Exit(1)


def _rows(result: "Result") -> list[str]:
    """Return the summary for people, each row with its own labels."""
    totals, config = result.totals, result.script.config
    lag = totals.lag.summary()
    rows = (
        ("records", "[sent, unsent]", f"{totals.records:,}, {totals.unsent:,}"),
        (
            "datagrams",
            "[data, templates, octets]",
            f"{totals.data_datagrams:,}, {totals.template_datagrams:,}, {totals.octets:,}",
        ),
        (
            "rate",
            "[asked_fps, sent_fps, seconds]",
            f"{config.fps:,.1f}, {totals.sent_fps:,.1f}, {totals.elapsed_s:.3f}",
        ),
        ("lag_ms", "[p50, p99, max]", f"{lag['p50']}, {lag['p99']}, {lag['max']}"),
        ("cpu", "[seconds, retries]", f"{totals.cpu_s:.2f}, {totals.retries}"),
    )
    return [f"{name:<11}{labels:<33}{values}" for name, labels, values in rows]


def _writable(path: Path) -> None:
    """Find out before the run, not after, that the truth cannot be written."""
    from clarion.errors import UsageError

    try:
        path.write_text("")
    except OSError as err:
        raise UsageError(
            f"cannot write truth file {path}: {err.strerror}; name a file you may write"
        ) from err
