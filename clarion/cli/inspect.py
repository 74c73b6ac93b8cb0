"""`clarion inspect`: a capture file, decoded."""

import json as json_text
import sys
from pathlib import Path
from typing import Annotated

import typer


def inspect(
    file: Annotated[Path, typer.Argument(help="A pcap or pcapng file, gzip or not.")],
    json: Annotated[
        bool, typer.Option("--json", help="One JSON object a line: templates, records, summary.")
    ] = False,
    port: Annotated[
        list[int] | None,
        typer.Option(min=1, max=65535, help="Only this UDP destination port; repeatable."),
    ] = None,
    limit: Annotated[
        int, typer.Option(min=0, help="Records shown of each layout, in the table view.")
    ] = 10,
) -> None:
    """
    Decode a capture file: every template, every record, every field.

    Reads pcap and pcapng (Ethernet, VLAN, raw IP, Linux cooked, loopback; IPv4, IPv6, fragments)
    and looks at every UDP port unless told otherwise. Wrong checksums do not matter.

    Example: `clarion inspect flows.pcap --json | jq 'select(.kind == "record").derived'`
    """
    from rich.console import Console

    from clarion.inspect import Inspector, TableView
    from clarion.net.pcap import CaptureReader

    inspector = Inspector()
    view = TableView(Console(), limit=limit)
    with CaptureReader(file, ports=port or ()) as capture:
        for batch in capture.batches():
            for entry in inspector.entries(batch):
                if json:
                    print(json_text.dumps(entry))
                else:
                    view.add(entry)
        summary = inspector.summary(capture.stats, capture.note)
    if json:
        print(json_text.dumps(summary))
    else:
        view.render(summary)
    if capture.note:
        print(f"clarion: capture {str(file)!r} {capture.note}", file=sys.stderr)
