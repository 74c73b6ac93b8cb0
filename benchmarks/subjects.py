"""The collectors that are compared: how to start one, and what it got, used and held."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

CLOCK_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Outcome:
    """What a collector made of one trial."""

    records: int
    cpu_seconds: float
    peak_rss_bytes: int


class Subject(Protocol):
    """A collector under test, run anew for each trial."""

    name: str

    def start(self, place: Path, cpu: int) -> int:
        """Start it, pinned to a core; return its UDP port."""
        ...

    def stop(self) -> Outcome:
        """End it as an operator does, and count."""
        ...


class _Process:
    """A child pinned to one core, and what it has used since it was ready."""

    def __init__(self, command: list[str], cpu: int, stderr: int | None = None) -> None:
        self.child = subprocess.Popen(
            ["taskset", "-c", str(cpu), *command],
            stdout=subprocess.PIPE, stderr=stderr, text=True,
        )  # fmt: skip
        self.used_before = 0.0

    def ready(self) -> None:
        self.used_before = cpu_seconds(self.child.pid)

    def end(self) -> tuple[str, float, int]:
        """Send SIGTERM; return its output, CPU seconds since ready, peak memory in bytes."""
        self.child.send_signal(signal.SIGTERM)
        assert self.child.stdout is not None
        output = self.child.stdout.read()
        _, _, usage = os.wait4(self.child.pid, 0)
        self.child.returncode = 0
        self.child.stdout.close()
        cpu = usage.ru_utime + usage.ru_stime - self.used_before
        return output, cpu, usage.ru_maxrss * 1024


def cpu_seconds(pid: int) -> float:
    """Return the CPU seconds a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / CLOCK_TICKS


class Clarion:
    """`clarion collect` to a sink."""

    def __init__(self, sink: str, rcvbuf: int) -> None:
        self.name = f"clarion {sink.partition(':')[0]}"
        self._sink = sink
        self._rcvbuf = rcvbuf

    def start(self, place: Path, cpu: int) -> int:
        sink = self._sink.replace("DIR", str(place / "flows"))
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 - open until `stop`
        self._process = _Process(
            [sys.executable, "-m", "clarion", "collect", "--json", "--bind-host", "127.0.0.1",
             "--netflow-port", "0", "--sflow-port", "0", "--ipfix-port", "0", "--sink", sink,
             "--udp-rcvbuf", str(self._rcvbuf)],
            cpu, self._errors.fileno(),
        )  # fmt: skip
        for _ in range(1000):
            time.sleep(0.01)
            self._errors.seek(0)
            for line in self._errors:
                if '"ready"' in line:
                    self._process.ready()
                    return int(json.loads(line)["netflow_port"])
        raise RuntimeError("clarion collect did not get ready")

    def stop(self) -> Outcome:
        output, cpu, rss = self._process.end()
        summary = json.loads(output.strip().splitlines()[-1])
        self._errors.close()
        return Outcome(summary["records_delivered"], cpu, rss)


class Nfcapd:
    """nfcapd of Debian's nfdump, writing its own files."""

    def __init__(self, rcvbuf: int) -> None:
        self.name = "nfcapd"
        self._rcvbuf = rcvbuf

    def start(self, place: Path, cpu: int) -> int:
        self._place = place
        port = _free_port()
        self._process = _Process(
            ["nfcapd", "-w", str(place), "-b", "127.0.0.1", "-p", str(port), "-t", "3600",
             "-B", str(self._rcvbuf)],
            cpu, subprocess.STDOUT,
        )  # fmt: skip
        wanted = f":{port:04X} "
        for _ in range(500):
            time.sleep(0.01)
            if wanted in Path("/proc/net/udp").read_text():
                time.sleep(0.1)
                self._process.ready()
                return port
        raise RuntimeError("nfcapd did not bind")

    def stop(self) -> Outcome:
        time.sleep(0.3)
        _, cpu, rss = self._process.end()
        said = subprocess.run(
            ["nfdump", "-R", str(self._place), "-I"], capture_output=True, text=True, check=True
        ).stdout
        flows = next(line for line in said.splitlines() if line.startswith("Flows:"))
        return Outcome(int(flows.split()[1]), cpu, rss)


def _free_port() -> int:
    import socket

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
