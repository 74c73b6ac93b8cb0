"""
What a running collector shows: one line or JSON object an interval, on stderr.

A thread of its own reads counters only, so that a terminal or pipe that does not take the line
never stalls the receive loop.
"""

import json
import os
import resource
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from clarion import units
from clarion.collector.ledger import Ledger

_PAGE = os.sysconf("SC_PAGESIZE")
_STATM = Path("/proc/self/statm")


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """
    One look at a running collector; counters since its start.

    `socket_fill` is the most octets of kernel memory seen in one socket since the last look, of
    `rcvbuf` at most; `queue_octets` and `in_flight` (records) are as of now.
    """

    seconds: float
    datagrams_received: int
    records_received: int
    records_delivered: int
    in_flight: int
    kernel_dropped: int
    queue_full: int
    lost: dict[str, int]
    socket_fill: int
    rcvbuf: int
    queue_octets: int
    cpu_seconds: float
    rss_bytes: int

    def json(self) -> str:
        """Return it as one line of JSON."""
        values: dict[str, Any] = {"event": "progress"}
        values |= {name: getattr(self, name) for name in self.__slots__ if name != "lost"}
        return json.dumps(values)

    def line(self, before: "Progress | None") -> str:
        """Return it as one line for people, rates since the look `before`."""
        first = before or self
        span = self.seconds - first.seconds
        share = (self.cpu_seconds - first.cpu_seconds) / span if span > 0 else 0.0
        rate = (self.records_received - first.records_received) / span if span > 0 else 0.0
        lost = ", ".join(f"{name} {n:,}" for name, n in self.lost.items() if n) or "none"
        return (
            f"{self.seconds:8.1f} s  {units.format_rate(rate)} records  "
            f"received {self.records_received:,}  delivered {self.records_delivered:,}  "
            f"in flight {self.in_flight:,}  lost: {lost}  "
            f"cpu {share:.0%}  memory {units.format_octets(self.rss_bytes)}"
        )


def look(ledger: Ledger, started: float) -> Progress:
    """Read the counters; `started` is monotonic seconds."""
    account = ledger.account()
    gauges = [listener.gauge() for listener in ledger.listeners]
    fill = max([gauge.fill for gauge in gauges] + [ledger.intake.receiver.take_peak_fill()])
    return Progress(
        seconds=round(time.monotonic() - started, 4),
        datagrams_received=ledger.datagrams_received(),
        records_received=account.received,
        records_delivered=account.delivered,
        in_flight=account.in_flight,
        kernel_dropped=account.losses["kernel_dropped"],
        queue_full=account.losses["queue_full"],
        lost=account.losses,
        socket_fill=fill,
        rcvbuf=min((gauge.capacity for gauge in gauges), default=0),
        queue_octets=ledger.queue.octets,
        cpu_seconds=round(time.process_time(), 4),
        rss_bytes=int(_STATM.read_text().split()[1]) * _PAGE,
    )


def peak_rss_bytes() -> int:
    """Return the most memory this process had resident."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


class Reporter:
    """
    Shows progress every `interval_s` seconds until stopped; a context manager.

    Args:
        take: makes a look.
        interval_s: 0 shows nothing.
        json_lines: JSON objects, else text.
        err: where to; on a terminal the text line is redrawn in place.

    """

    def __init__(
        self,
        take: Callable[[], Progress],
        *,
        interval_s: float,
        json_lines: bool,
        err: TextIO | None = None,
    ) -> None:
        self._take = take
        self._interval_s = interval_s
        self._json = json_lines
        self._err = err or sys.stderr
        self._live = not json_lines and self._err.isatty()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="progress", daemon=True)

    def __enter__(self) -> "Reporter":
        if self._interval_s > 0:
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        if self._thread.is_alive():
            # A reader that does not take the line must not hold up the end.
            self._thread.join(1.0)

    def _run(self) -> None:
        try:
            if self._live:
                self._run_live()
            else:
                self._run_lines()
        except (OSError, ValueError):  # stderr is gone: there is no one to tell
            return

    def _run_lines(self) -> None:
        began = time.monotonic()
        before: Progress | None = None
        looks = 0
        while True:
            looks += 1
            due = began + looks * self._interval_s
            if self._stop.wait(max(0.0, due - time.monotonic())):
                return
            looks = max(looks, int((time.monotonic() - began) / self._interval_s))
            now = self._take()
            print(now.json() if self._json else now.line(before), file=self._err, flush=True)
            before = now

    def _run_live(self) -> None:
        from rich.console import Console
        from rich.live import Live
        from rich.text import Text

        before: Progress | None = None
        console = Console(file=self._err)
        with Live(console=console, auto_refresh=False, transient=True) as live:
            while not self._stop.wait(self._interval_s):
                now = self._take()
                live.update(Text(now.line(before)), refresh=True)
                before = now
