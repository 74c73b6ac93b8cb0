"""Programs the tests run: `clarion` subcommands, nfcapd, and what they say at the end."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

CLARION = [sys.executable, "-m", "clarion"]


def need(*programs: str) -> None:
    """Skip, naming the program, where a real peer is not installed; in CI that is a failure."""
    missing = [name for name in programs if shutil.which(name) is None]
    if missing:
        message = f"not installed: {', '.join(missing)} (Debian: nfdump, softflowd, tshark)"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)


def clarion(*arguments: str, timeout: float = 60) -> subprocess.CompletedProcess[str]:
    """Run a `clarion` subcommand to its end."""
    return subprocess.run(
        [*CLARION, *arguments], capture_output=True, text=True, timeout=timeout, check=False
    )


class Collector:
    """A running `clarion collect --json` on loopback."""

    def __init__(self, process: subprocess.Popen[str], errors: Path) -> None:
        self.process = process
        self._errors = errors
        self.ready = self._wait_ready()
        self.netflow_port: int = self.ready["netflow_port"]
        self.ipfix_port: int = self.ready["ipfix_port"]
        self.summary: dict[str, Any] = {}

    def _wait_ready(self, seconds: float = 20) -> dict[str, Any]:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            for line in self._errors.read_text().splitlines():
                if line.startswith("{") and json.loads(line).get("event") == "ready":
                    return dict(json.loads(line))
            if self.process.poll() is not None:
                break
            time.sleep(0.02)
        raise AssertionError(f"collect did not get ready: {self._errors.read_text()}")

    def stop(self, seconds: float = 30) -> dict[str, Any]:
        """End it as an operator does; return its summary."""
        if not self.summary:
            self.process.send_signal(signal.SIGTERM)
            out, _ = self.process.communicate(timeout=seconds)
            last = out.strip().splitlines()[-1]
            self.summary = json.loads(last)
        return self.summary

    @property
    def stderr(self) -> str:
        """What it wrote to standard error so far."""
        return self._errors.read_text()


@contextmanager
def collector(*arguments: str, host: str = "127.0.0.1") -> Iterator[Collector]:
    """Run `clarion collect` on free ports until the block ends."""
    with tempfile.TemporaryDirectory() as place:
        errors = Path(place) / "stderr"
        with errors.open("w") as stream:
            process = subprocess.Popen(
                [
                    *CLARION, "collect", "--json", "--bind-host", host,
                    "--netflow-port", "0", "--ipfix-port", "0", "--sflow-port", "0", *arguments,
                ],
                stdout=subprocess.PIPE, stderr=stream, text=True, cwd=place,
            )  # fmt: skip
        try:
            yield Collector(process, errors)
        finally:
            if process.poll() is None:
                process.kill()
            process.communicate()


def free_port() -> int:
    """Return a UDP port on loopback that is free now."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def nfcapd(directory: Path, *arguments: str) -> Iterator[int]:
    """Run nfcapd into a directory until the block ends; gives its port."""
    need("nfcapd", "nfdump")
    directory.mkdir(parents=True, exist_ok=True)
    port = free_port()
    process = subprocess.Popen(
        ["nfcapd", "-w", str(directory), "-b", "127.0.0.1", "-p", str(port), "-t", "3600",
         "-B", "8000000", *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    try:
        _wait_bound(process, port)
        yield port
        time.sleep(0.5)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=20)
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()


def _wait_bound(process: subprocess.Popen[str], port: int) -> None:
    wanted = f":{port:04X} "
    for _ in range(500):
        if wanted in Path("/proc/net/udp").read_text() or process.poll() is not None:
            break
        time.sleep(0.02)
    time.sleep(0.1)


def nfdump_statistics(directory: Path) -> dict[str, int]:
    """Return what `nfdump -I` says of the files of a directory: flows, packets, bytes, ..."""
    done = subprocess.run(
        ["nfdump", "-R", str(directory), "-I"], capture_output=True, text=True, check=True
    )
    found: dict[str, int] = {}
    for line in done.stdout.splitlines():
        name, _, value = line.partition(":")
        if value.strip().lstrip("-").isdigit():
            found[name.strip().lower()] = int(value)
    return found


def nfdump_rows(directory: Path) -> list[dict[str, Any]]:
    """Return the flows nfdump shows, one dictionary each."""
    done = subprocess.run(
        ["nfdump", "-R", str(directory), "-o", "json", "-q"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    rows: list[dict[str, Any]] = []
    decoder, text, at = json.JSONDecoder(), done.stdout, done.stdout.find("{")
    while at >= 0:  # objects one behind the other, with or without brackets and commas
        row, at = decoder.raw_decode(text, at)
        rows.append(row)
        at = text.find("{", at)
    return rows
