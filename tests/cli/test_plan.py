import csv
import dataclasses
import io
import json
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from clarion import measurement
from clarion.cli import app
from clarion.errors import MeasurementError, UsageError
from clarion.measurement import Host, Measurement, Subject, Verdict

MEASURED = Measurement(
    date="2025-01-02T03:04:05+00:00",
    clarion="0.1.0",
    host=Host(cpu_model="any", cores=2, kernel="6.1", rmem_max=212_992),
    measured=Subject(
        protocol="v9",
        records_per_datagram=20,
        exporters=8,
        sink="parquet",
        workers=1,
        steering="one socket",
        datagram_octets=1220.0,
        row_octets=30.0,
    ),
    trials=(),
    capacity_fps=1000.0,
    cpu_us_per_flow=500.0,
    cpu_base_cores=0.02,
    rss_bytes=100 * 2**20,
    verdict=Verdict.FINAL,
)


@pytest.fixture(autouse=True)
def _state(tmp_path, monkeypatch):
    monkeypatch.setenv("CLARION_STATE_DIR", str(tmp_path / "state"))


def run(*arguments):
    """Standard output, or the error the command ends with."""
    result = CliRunner().invoke(app, ["plan", *arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.stdout


def run_json(*arguments):
    return json.loads(run("--json", *arguments))


def test_the_contract():
    got = run_json("--peak", "10M/h", "--margin", "2", "--capacity", "250/s")
    assert got["event"] == "plan"
    assert got["peak_fps"] == pytest.approx(2777.78, abs=0.01)
    assert (got["margin"], got["capacity_fps"], got["capacity_source"]) == (2, 250, "given")
    assert (got["instances_at_peak"], got["instances"]) == (12, 23)
    assert got["recommended"]["instances"] == 28
    assert got["recommended"]["binding"] == "stalls"
    assert got["recommended"]["exporters_source"] == "assumed balanced"


def test_nothing_measured_is_assumed_and_says_how_to_measure():
    got = run_json("--peak", "10M/h", "--margin", "2")
    assert (got["capacity_fps"], got["capacity_source"]) == (250, "assumed")
    assert (got["instances_at_peak"], got["instances"]) == (12, 23)
    assert any("clarion measure --quick" in note for note in got["notes"])
    assert {row["source"] for row in got["resources"]} == {"given", "assumed"}
    assert "clarion measure --quick" in run("--peak", "10M/h")


def test_what_was_measured_is_used(tmp_path):
    measurement.write(MEASURED, tmp_path / "state" / "measurement.json")
    got = run_json("--peak", "10M/h", "--margin", "2")
    assert (got["capacity_fps"], got["capacity_source"]) == (1000, "measured")
    assert (got["instances_at_peak"], got["instances"]) == (3, 6)
    rows = {row["key"]: row for row in got["resources"]}
    assert rows["cores"]["total"] == pytest.approx(5555.6 * 500e-6 + 7 * 0.02, rel=1e-4)
    assert rows["cores"]["source"] == "measured"
    assert rows["memory_octets"]["per_instance"] == 100 * 2**20 + 212_992
    assert rows["datagrams_per_s"]["total"] == pytest.approx(5555.6 / 20, rel=1e-4)
    assert rows["mbit_per_s"]["total"] == pytest.approx(5555.6 / 20 * 1248 * 8 / 1e6, rel=1e-4)
    assert rows["disk_octets_per_day"]["total"] == pytest.approx(2777.8 * 86400 * 30, rel=1e-4)
    assert rows["rcvbuf_octets"]["source"] == "assumed"
    assert got["sysctl"] == "sysctl -w net.core.rmem_max=212992"
    assert [level["instances"] for level in got["levels"]] == [1, 2, 3, 6, 7]


def test_a_given_capacity_does_not_mix_with_what_is_kept(tmp_path):
    measurement.write(MEASURED, tmp_path / "state" / "measurement.json")
    got = run_json("--peak", "10M/h", "--capacity", "250")
    assert "measured" not in {row["source"] for row in got["resources"]}
    named = tmp_path / "named.json"
    measurement.write(MEASURED, named)
    got = run_json("--peak", "10M/h", "--capacity", "250", "--measurement", str(named))
    assert got["capacity_source"] == "given"
    assert "measured" in {row["source"] for row in got["resources"]}


@pytest.mark.parametrize(
    ("verdict", "note"),
    [(Verdict.INDICATIVE, "indicative"), (Verdict.TESTER_LIMITED, "at least what is shown")],
)
def test_a_verdict_that_is_not_final_is_said(tmp_path, verdict, note):
    path = tmp_path / "m.json"
    measurement.write(dataclasses.replace(MEASURED, verdict=verdict), path)
    got = run_json("--peak", "10M/h", "--measurement", str(path))
    assert any(note in one for one in got["notes"])


def test_exporters_decide_when_they_are_given():
    arguments = ["--peak", "10M/h", "--capacity", "3000", "--exporters", "20"]
    equal = run_json(*arguments)["recommended"]
    zipf = run_json(*arguments, "--weights", "zipf")
    assert equal["binding"] == "imbalance"
    assert equal["terms"]["arithmetic"] == 2
    assert zipf["recommended"]["instances"] > equal["instances"]
    assert zipf["recommended"]["instances_by_table"] == 3
    assert any("assigned by a table" in note for note in zipf["notes"])
    few = run_json("--peak", "10M/h", "--exporters", "3")
    assert few["recommended"]["binding"] == "heaviest exporter"
    assert any("split it by observation domain" in note for note in few["notes"])


def test_stall_and_drain_move_the_cap():
    got = run_json("--peak", "10M/h", "--stall", "1s", "--drain", "2s", "--spare", "0")
    assert got["recommended"]["utilisation_cap"] == pytest.approx(2 / 3)
    assert got["recommended"]["stall_source"] == "given"


def test_csv_and_markdown_carry_the_rows_of_the_table(tmp_path):
    shown = run("--peak", "10M/h", "--capacity", "250")
    rows = list(
        csv.DictReader(io.StringIO(run("--peak", "10M/h", "--capacity", "250", "--csv", "-")))
    )
    wide = run("--peak", "10M/h", "--capacity", "250", "--markdown", "-")
    for name in ("CPU", "memory", "network", "datagrams", "receive buffer", "disk a day"):
        assert any(row["table"] == "resources" and row["row"] == name for row in rows)
        assert f"| {name} |" in wide
        assert name in shown
    for level in ("25 % of peak", "50 % of peak", "peak", "peak x 2", "recommended"):
        assert any(row["table"] == "levels" and row["row"] == level for row in rows)
        assert f"| {level} |" in wide
    answer = {row["row"]: row["value"] for row in rows if row["table"] == "answer"}
    assert (answer["at peak"], answer["with margin"], answer["recommended"]) == ("12", "23", "28")
    assert {row["source"] for row in rows} <= {"measured", "given", "assumed"}
    target = tmp_path / "plan.csv"
    assert run("--peak", "10M/h", "--capacity", "250", "--csv", str(target)) == shown
    assert list(csv.DictReader(io.StringIO(target.read_text()))) == rows


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--peak", "10Q/h"], r"rate '10Q/h': unknown multiple 'Q'; .* as in 10M/h"),
        (["--peak", "0"], "peak 0/s: wanted a rate above 0"),
        (["--peak", "10M/h", "--margin", "0.5"], "margin 0.5: wanted a factor of 1 or more"),
        (["--peak", "10M/h", "--margin", "nan"], "margin nan: wanted a factor"),
        (["--peak", "10M/h", "--capacity", "0"], "capacity 0/s: wanted a rate above 0"),
        (["--peak", "10M/h", "--capacity", "-5"], "rate '-5': negative"),
        (["--peak", "10M/h", "--exporters", "0"], "exporters 0: wanted 1 to 100000"),
        (["--peak", "10M/h", "--weights", "odd"], "weights 'odd': wanted equal or zipf"),
        (["--peak", "10M/h", "--drain", "0"], "drain 0s: wanted a time above 0"),
        (["--peak", "10M/h", "--json", "--csv", "-"], "only one of"),
    ],
)
def test_bad_input_is_one_clear_line_and_exit_2(arguments, said):
    with pytest.raises(UsageError, match=said) as caught:
        run(*arguments)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2


def test_a_broken_measurement_file_is_named(tmp_path):
    path = tmp_path / "state" / "measurement.json"
    path.parent.mkdir()
    path.write_text("{")
    with pytest.raises(MeasurementError, match="not JSON") as caught:
        run("--peak", "10M/h")
    assert str(path) in str(caught.value)
    assert "clarion measure" in str(caught.value)
    assert caught.value.exit_code == 1


def test_it_starts_without_the_heavy_packages():
    script = (
        "import sys; from clarion.cli import app\n"
        "try: app(['plan', '--peak', '10M/h', '--capacity', '250'])\n"
        "except SystemExit: pass\n"
        "assert not {'numpy', 'pyarrow', 'httpx', 'rich'} & set(sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "recommended" in done.stdout
