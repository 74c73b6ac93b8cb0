"""What a running load generator shows on stderr: a live line on a terminal, else one a second."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from clarion import units
from clarion.loadgen.config import Config
from clarion.loadgen.runner import Report, Totals

_LINE_S = 1.0


def text(totals: Totals, config: Config) -> str:
    """Return one line for people."""
    lag = totals.lag.summary()
    of = "" if config.duration_s is None else f" of {units.format_seconds(config.duration_s)}"
    return (
        f"{totals.elapsed_s:8.1f} s{of}  {units.format_rate(totals.sent_fps)} "
        f"(asked {units.format_rate(config.fps)})  sent {totals.records:,}  "
        f"behind {totals.unsent:,}  lag p99 {lag['p99']:.1f} ms"
    )


def json_line(totals: Totals) -> str:
    """Return the same as one JSON object."""
    return json.dumps(
        {
            "event": "progress",
            "seconds": round(totals.elapsed_s, 3),
            "records_sent": totals.records,
            "records_unsent": totals.unsent,
            "sent_fps": round(totals.sent_fps, 3),
            "lag_ms": totals.lag.summary(),
        }
    )


@contextmanager
def reporter(config: Config, *, json_lines: bool, err: TextIO | None = None) -> Iterator[Report]:
    """
    Give the function that a run reports to.

    Args:
        config: the run's settings.
        json_lines: JSON objects instead of text.
        err: where to; on a terminal the text line is redrawn in place.

    """
    out = err or sys.stderr
    if out.isatty() and not json_lines:
        from rich.console import Console
        from rich.live import Live
        from rich.text import Text

        with Live(console=Console(file=out), auto_refresh=False, transient=True) as live:
            yield lambda totals: live.update(Text(text(totals, config)), refresh=True)
        return
    last = 0.0

    def line(totals: Totals) -> None:
        nonlocal last
        if totals.elapsed_s - last >= _LINE_S:
            last = totals.elapsed_s // _LINE_S * _LINE_S
            shown = json_line(totals) if json_lines else text(totals, config)
            print(shown, file=out, flush=True)

    yield line
