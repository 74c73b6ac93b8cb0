"""The machine a measurement holds for. Linux; what is not there is left unknown."""

import os
import platform
from pathlib import Path

from clarion.measurement import Host


def describe_host() -> Host:
    """CPU model, cores this process may use, kernel, and net.core.rmem_max in octets."""
    return Host(
        cpu_model=_cpu_model(),
        cores=len(os.sched_getaffinity(0)),
        kernel=platform.release(),
        rmem_max=_rmem_max(),
    )


def _cpu_model() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            name, _, value = line.partition(":")
            if name.strip() in ("model name", "Model"):
                return value.strip()
    except OSError:
        pass
    return platform.machine() or "unknown"


def _rmem_max() -> int | None:
    try:
        return int(Path("/proc/sys/net/core/rmem_max").read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None
