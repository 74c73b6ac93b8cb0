"""
Clarion against nfcapd: the same load, one core each, the sender on the other core.

    python benchmarks/collectors.py [--protocol v9] [--seconds 4] [--singles] [--json]

For each collector: the highest rate it takes with zero loss (found by doubling, then halving the
gap to 5 %), CPU time a flow and peak memory at a rate both take; and the ratio. Traffic goes to
loopback only and every trial is bounded in time.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from subjects import Clarion, Nfcapd, Outcome, Subject

SENDER_CPU, COLLECTOR_CPU = 0, 1


@dataclass(frozen=True)
class Trial:
    """One collector at one rate."""

    fps: float
    sent: int
    sent_fps: float
    lost: int
    cpu_us_per_flow: float
    cpu_share: float
    peak_rss_mib: float

    @property
    def passed(self) -> bool:
        return self.lost == 0 and self.sent_fps >= 0.97 * self.fps

    @property
    def sender_limited(self) -> bool:
        return self.sent_fps < 0.97 * self.fps


def run_trial(subject: Subject, fps: float, options: argparse.Namespace) -> Trial:
    """Start the collector, send at a rate, end it, compare."""
    with tempfile.TemporaryDirectory(prefix="clarion-bench-") as place:
        port = subject.start(Path(place), COLLECTOR_CPU)
        command = [
            sys.executable, "-m", "clarion", "loadgen", "--json", "--fps", str(fps),
            "--duration", f"{options.seconds}s", "--protocol", options.protocol,
            "--target", f"127.0.0.1:{port}", "--exporters", str(options.exporters),
            "--cpu", str(SENDER_CPU),
        ]  # fmt: skip
        if options.records:
            command += ["--records-per-datagram", str(options.records)]
        if not options.singles:
            command.append("--gso")
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        time.sleep(1.0)
        outcome: Outcome = subject.stop()
        sent = json.loads(done.stdout.strip().splitlines()[-1])
    return Trial(
        fps=fps,
        sent=sent["records_sent"],
        sent_fps=sent["sent_fps"],
        lost=sent["records_sent"] - outcome.records,
        cpu_us_per_flow=outcome.cpu_seconds / max(sent["records_sent"], 1) * 1e6,
        cpu_share=outcome.cpu_seconds / options.seconds,
        peak_rss_mib=outcome.peak_rss_bytes / 2**20,
    )


def highest_without_loss(
    subject: Subject, options: argparse.Namespace
) -> tuple[float, list[Trial]]:
    """Search the highest zero-loss rate; a failing rate is tried once more before it counts."""
    trials: list[Trial] = []

    def takes(fps: float) -> bool:
        for _ in range(2):
            trial = run_trial(subject, fps, options)
            trials.append(trial)
            slow = "  (sender too slow)" if trial.sender_limited else ""
            print(
                f"  {subject.name:16} {fps:>12,.0f}/s  lost {trial.lost:>9,}"
                f"  {trial.cpu_us_per_flow:.3f} us/flow{slow}",
                file=sys.stderr,
            )
            if trial.passed or trial.sender_limited:
                return trial.passed
        return False

    low, high = 0.0, options.start
    while takes(high):
        low, high = high, high * 1.6
    while high - low > 0.05 * high and high > 1000:
        middle = (low + high) / 2
        low, high = (middle, high) if takes(middle) else (low, middle)
    return low, trials


def main() -> None:
    """Compare and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--protocol", choices=["v5", "v9", "ipfix"], default="v9")
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--exporters", type=int, default=8)
    parser.add_argument("--records", type=int, default=0, help="records a datagram")
    parser.add_argument("--start", type=float, default=1e6, help="first rate tried, flows/s")
    parser.add_argument("--rate", type=float, default=1e6, help="rate at which CPU is compared")
    parser.add_argument("--at-seconds", type=float, default=10.0, help="how long, there")
    parser.add_argument("--singles", action="store_true", help="send datagrams one by one")
    parser.add_argument("--rcvbuf", type=int, default=4 << 20)
    parser.add_argument("--sink", default="parquet:DIR")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rows = {}
    for subject in (Nfcapd(options.rcvbuf), Clarion(options.sink, options.rcvbuf)):
        highest, trials = highest_without_loss(subject, options)
        longer = argparse.Namespace(**{**vars(options), "seconds": options.at_seconds})
        at_rate = run_trial(subject, options.rate, longer)
        limited = any(t.sender_limited for t in trials)
        rows[subject.name] = {"highest_fps": highest, "sender_limited": limited, **asdict(at_rate)}
    (theirs, ours) = rows.values()
    ratio = {
        "highest_fps": ours["highest_fps"] / theirs["highest_fps"],
        "cpu_us_per_flow": ours["cpu_us_per_flow"] / theirs["cpu_us_per_flow"],
        "peak_rss_mib": ours["peak_rss_mib"] / theirs["peak_rss_mib"],
    }
    if options.json:
        print(json.dumps({"event": "benchmark", "collectors": rows, "ratio": ratio}))
        return
    how = "single datagrams" if options.singles else "offloaded bursts"
    print(f"{options.protocol}, {options.exporters} exporters, {how}")
    print(f"CPU and memory at {options.rate:,.0f} flows/s for {options.at_seconds:g} s")
    head = ("zero loss up to", "lost", "CPU us/flow", "peak MiB")
    print(f"{'collector':18}{head[0]:>18}{head[1]:>10}{head[2]:>14}{head[3]:>10}")
    for name, row in rows.items():
        bound = ">= " if row["sender_limited"] else ""
        highest = f"{bound}{row['highest_fps']:,.0f}/s"
        print(
            f"{name:18}{highest:>18}{row['lost']:>10,}"
            f"{row['cpu_us_per_flow']:>14.3f}{row['peak_rss_mib']:>10.0f}"
        )
    print(
        f"{'ratio':18}{ratio['highest_fps']:>17.2f}x{'':>10}"
        f"{ratio['cpu_us_per_flow']:>13.2f}x{ratio['peak_rss_mib']:>9.1f}x"
    )


if __name__ == "__main__":
    main()
