import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from clarion import measurement

pytestmark = [pytest.mark.net, pytest.mark.slow]


def start(*arguments):
    return subprocess.Popen(
        [sys.executable, "-m", "clarion", "measure", "--quick", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def children_of(pid):
    """Command lines of the processes that `pid` started and that still run."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except (OSError, ValueError):
            continue
        if parent == pid:
            found.append((int(entry.name), command))
    return found


def test_a_real_measurement_and_the_plan_of_it(tmp_path):
    out = tmp_path / "out.json"
    arguments = ["--fps-max", "20k/s", "--state-dir", str(tmp_path), "--out", str(out), "--json"]
    process = start(*arguments)
    stdout, stderr = process.communicate(timeout=100)
    assert process.returncode == 0, stderr
    got = json.loads(stdout)
    assert got["event"] == "measurement"
    assert got["verdict"] == "tester-limited"
    assert got["capacity_fps"] == pytest.approx(20_000, rel=0.01)
    assert 0 < got["cpu_us_per_flow"] < 1000
    assert got["rss_bytes"] > 10_000_000
    assert got["measured"]["sink"] == "parquet"
    assert got["measured"]["row_octets"] > 5
    assert all(trial["records_sent"] == trial["records_delivered"] for trial in got["trials"])
    assert "passed" in stderr
    assert measurement.read(out) == measurement.find(tmp_path)
    plan = subprocess.run(
        [sys.executable, "-m", "clarion", "plan", "--peak", "10M/h", "--json"],
        env=os.environ | {"CLARION_STATE_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert json.loads(plan.stdout)["capacity_source"] == "measured"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_the_children(tmp_path, number):
    process = start("--state-dir", str(tmp_path), "--sink", "null:", "--fps-max", "1k/s")
    try:
        deadline = time.monotonic() + 30
        children = []
        while not any("collect" in command for _, command in children):
            assert time.monotonic() < deadline
            time.sleep(0.05)
            children = children_of(process.pid)
        process.send_signal(number)
        _, stderr = process.communicate(timeout=30)
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()
    assert process.returncode not in (0, 2)
    assert "Traceback" not in stderr
    for pid, _ in children:
        assert not Path(f"/proc/{pid}").exists()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--protocol", "v8"], 2, "protocol 'v8': wanted v5, v9 or ipfix"),
        (["--exporters", "0"], 2, "exporters 0: wanted 1 or more"),
        (["--fps-max", "2Q"], 2, "rate '2Q': unknown multiple 'Q'"),
        (["--fps-max", "0"], 2, "fps-max '0': wanted 1/s or more"),
        (["--sink", "parquet:no-such-folder"], 2, "no folder 'no-such-folder'"),
        (["--sink", "nothing:"], 1, "clarion collect ended"),
    ],
)
def test_bad_input_is_one_clear_line(tmp_path, arguments, code, said):
    process = start("--state-dir", str(tmp_path), "--fps-max", "1k", *arguments)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == code
    assert said in stderr.splitlines()[-1]
    assert "Traceback" not in stderr
