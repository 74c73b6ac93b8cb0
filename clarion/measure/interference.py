"""
What other processes took of the collector's processor during a trial.

A capacity measured beside someone else's work is that of a share of a processor. Rule: reads
/proc/stat, no more; where it cannot be read nothing is said.
"""

import os
import time
from dataclasses import dataclass
from pathlib import Path

# Above this share of a processor a trial counts as disturbed.
DISTURBED_SHARE = 0.1

_STAT = Path("/proc/stat")
_TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")
# user, nice, system and steal of a "cpuN" line; idle, waiting and interrupts are nobody's.
_BUSY_COLUMNS = (1, 2, 3, 8)


@dataclass(frozen=True, slots=True)
class Busy:
    """Seconds a processor was busy or stolen since boot, at a time on our monotonic clock."""

    at: float
    seconds: float


def busy(cpu: int | None) -> Busy | None:
    """A reading of one processor; None where there is none."""
    if cpu is None:
        return None
    try:
        text = _STAT.read_text(encoding="ascii")
    except OSError:
        return None
    for line in text.splitlines():
        columns = line.split()
        if columns and columns[0] == f"cpu{cpu}" and len(columns) > max(_BUSY_COLUMNS):
            ticks = sum(int(columns[i]) for i in _BUSY_COLUMNS)
            return Busy(time.monotonic(), ticks / _TICKS_A_SECOND)
    return None


def others_share(before: Busy | None, after: Busy | None, collector_s: float) -> float:
    """
    The share of the processor that was not the collector's; 0 where it is not known.

        (busy seconds - collector's seconds) / seconds

    Busy 1.5 s of 2 s, the collector 1.0 s: 0.25.
    """
    if before is None or after is None or after.at <= before.at:
        return 0.0
    spent = after.seconds - before.seconds - collector_s
    return min(1.0, max(0.0, spent / (after.at - before.at)))
