"""`clarion collect`: receive, decode and deliver flows until told to stop."""

from pathlib import Path
from typing import Annotated

import typer


def collect(
    sink: Annotated[
        list[str] | None,
        typer.Option(
            metavar="URI",
            help="Where flows go; repeatable: parquet:DIR, http(s)://HOST, ndjson:FILE, ndjson:-, "
            "null:. [default: parquet:./flows]",
        ),
    ] = None,
    bind_host: Annotated[
        str | None,
        typer.Option(metavar="HOST", help="Address to listen on; :: takes IPv4 too. [0.0.0.0]"),
    ] = None,
    netflow_port: Annotated[
        str | None, typer.Option(metavar="PORT", help="UDP port, 0: any free one. [2055]")
    ] = None,
    ipfix_port: Annotated[
        str | None,
        typer.Option(metavar="PORT", help="Another; each takes every protocol. [4739]"),
    ] = None,
    sflow_port: Annotated[
        str | None, typer.Option(metavar="PORT", help="Another, for sFlow by custom. [6343]")
    ] = None,
    backend_url: Annotated[
        str | None, typer.Option(metavar="URL", help="Backend to post to; the same as a sink.")
    ] = None,
    batch_size: Annotated[
        str | None, typer.Option(metavar="N", help="Records in one post to a backend. [1000]")
    ] = None,
    batch_interval: Annotated[
        str | None, typer.Option(metavar="TIME", help="They wait no longer than this. [5s]")
    ] = None,
    udp_rcvbuf: Annotated[
        str | None, typer.Option(metavar="SIZE", help="Receive buffer of each socket. [32MiB]")
    ] = None,
    queue_octets: Annotated[
        str | None,
        typer.Option(metavar="SIZE", help="Decoded records that may wait for a sink. [64MiB]"),
    ] = None,
    retry_attempts: Annotated[
        str | None, typer.Option(metavar="N", help="Retries of a post that failed. [3]")
    ] = None,
    retry_backoff: Annotated[
        str | None,
        typer.Option(metavar="SECONDS", help="Wait before the first, then doubled. [1.5]"),
    ] = None,
    switch_id_from_ip: Annotated[
        bool | None,
        typer.Option(
            "--switch-id-from-ip/--switch-id-from-record",
            help="switch_id: the sender's address, or the one the exporter states. [from ip]",
        ),
    ] = None,
    state_dir: Annotated[
        str | None, typer.Option(metavar="DIR", help="Where state is kept across restarts.")
    ] = None,
    cpu_affinity: Annotated[
        str | None, typer.Option(metavar="N", help="Run on this CPU only.")
    ] = None,
    workers: Annotated[
        str | None, typer.Option(metavar="N", help="Only 1 in this version.")
    ] = None,
    journal: Annotated[
        str | None, typer.Option(metavar="DIR|off", help="Only off in this version.")
    ] = None,
    metrics_port: Annotated[
        str | None, typer.Option(metavar="PORT", help="Only 0, off, in this version.")
    ] = None,
    duration: Annotated[
        str | None, typer.Option(metavar="TIME", help="Stop after this long; else on a signal.")
    ] = None,
    progress_interval: Annotated[
        str | None,
        typer.Option(
            metavar="TIME", help="Between progress lines; 0: none. [1s on a terminal, else 10s]"
        ),
    ] = None,
    log_level: Annotated[
        str | None, typer.Option(metavar="LEVEL", help="debug, info, warning or error. [info]")
    ] = None,
    config: Annotated[
        Path | None, typer.Option(metavar="FILE", help="TOML file with the same names.")
    ] = None,
    json: Annotated[
        bool, typer.Option("--json", help="Progress and summary as JSON, one object a line.")
    ] = False,
) -> None:
    """
    Collect NetFlow v5, v9 and IPFIX until SIGTERM or Ctrl-C; then drain and print the ledger.

    Every flag may also be set by `CLARION_COLLECTOR_<FLAG>` or in the file; the flag wins, then
    the environment.

    Example: `clarion collect --sink parquet:./flows --netflow-port 2055`
    """
    flags = {name: value for name, value in locals().items() if name not in {"config", "json"}}
    import json as json_text
    import logging
    import os
    import sys

    from clarion.collector.config import load_config

    settings = load_config(flags, os.environ, config)
    logging.basicConfig(
        level=settings.log_level.upper(), stream=sys.stderr, format="%(levelname)s %(message)s"
    )
    # One line a request is too much of httpx.
    logging.getLogger("httpx").setLevel(logging.WARNING)

    from clarion.collector.report import summary_lines
    from clarion.collector.service import collect as run

    summary, unfinished = run(settings, json_lines=json)
    if json:
        print(json_text.dumps(summary))
    else:
        out = sys.stderr if "ndjson:-" in settings.sinks else sys.stdout
        print("\n".join(summary_lines(summary)), file=out)
    failed = bool(summary["losses"]["sink_failed"] or summary["in_flight"])
    if unfinished:
        # A thread still waits inside a sink: ending must not wait for it.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(1)
    if failed:
        raise typer.Exit(1)
