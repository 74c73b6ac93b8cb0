import dataclasses
import json
from pathlib import Path

import pytest

from clarion import measurement
from clarion.errors import MeasurementError
from clarion.measurement import Host, Measurement, Subject, Trial, Verdict


def example(**changes):
    trial = Trial(
        intended_fps=1000,
        offered_fps=999.5,
        delivered_fps=999.5,
        seconds=2.0,
        records_sent=2000,
        records_received=2000,
        records_delivered=2000,
        losses={"kernel": 0},
        cpu_seconds=0.3,
        peak_rss_bytes=100_000_000,
        backlog_records=3,
        socket_fill=0.1,
        passed=True,
    )
    whole = Measurement(
        date="2025-01-02T03:04:05+00:00",
        clarion="0.1.0",
        host=Host(cpu_model="any", cores=2, kernel="6.1", rmem_max=212_992),
        measured=Subject(
            protocol="v9",
            records_per_datagram=24,
            exporters=8,
            sink="parquet",
            workers=1,
            steering="none",
        ),
        trials=(trial, dataclasses.replace(trial, passed=False, reason="lost 3")),
        capacity_fps=1000.0,
        cpu_us_per_flow=0.3,
        rss_bytes=100_000_000,
        verdict=Verdict.INDICATIVE,
    )
    return dataclasses.replace(whole, **changes)


def test_what_is_written_is_read_back(tmp_path):
    path = tmp_path / "new" / "measurement.json"
    measurement.write(example(), path)
    assert measurement.read(path) == example()
    assert [entry.name for entry in path.parent.iterdir()] == ["measurement.json"]
    content = json.loads(path.read_text())
    assert content["event"] == "measurement"
    assert content["verdict"] == "indicative"
    assert content["version"] == 1


@pytest.mark.parametrize(
    ("keys", "value", "said"),
    [
        (["capacity_fps"], "fast", "key 'capacity_fps': found 'fast', wanted a number not below 0"),
        (["capacity_fps"], 0, "key 'capacity_fps': found 0, wanted a number above 0"),
        (["capacity_fps"], float("nan"), "found nan, wanted a number"),
        (["capacity_fps"], True, "found True, wanted a number"),
        (["verdict"], "sure", "found 'sure', wanted 'final' or 'indicative' or 'tester-limited'"),
        (["verdict"], ["final"], "wanted 'final'"),
        (["host"], [], r"key 'host': found \[\], wanted an object"),
        (["host", "cores"], 1.5, "key 'host.cores': found 1.5, wanted a whole number"),
        (["host", "kernel"], 6, "key 'host.kernel': found 6, wanted text"),
        (["measured", "records_per_datagram"], 0, "wanted a number above 0"),
        (["trials"], {}, "key 'trials': found {}, wanted a list"),
        (["trials", 1, "passed"], 1, r"key 'trials\[1\].passed': found 1, wanted true or false"),
        (["trials", 0, "losses"], [], "key 'trials.0..losses'"),
        (["trials", 0, "losses", "kernel"], -1, "losses.kernel': found -1"),
        (["host", "cores"], -(10**400), "found -1000"),
        (["version"], 99, "version 99 is newer than this clarion reads .1."),
        (["version"], "1", "key 'version': found '1', wanted a whole number"),
    ],
)
def test_a_wrong_key_is_named_with_found_wanted_and_remedy(tmp_path, keys, value, said):
    content = measurement.to_json(example())
    content = json.loads(json.dumps(content))
    place = content
    for key in keys[:-1]:
        place = place[key]
    place[keys[-1]] = value
    path = tmp_path / "m.json"
    path.write_text(json.dumps(content))
    with pytest.raises(MeasurementError, match=said) as caught:
        measurement.read(path)
    assert str(path) in str(caught.value)
    assert "measure again" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_every_key_without_a_default_is_needed(tmp_path):
    path = tmp_path / "m.json"
    for key in ("version", "date", "host", "trials", "capacity_fps", "verdict"):
        content = measurement.to_json(example())
        del content[key]
        path.write_text(json.dumps(content))
        with pytest.raises(MeasurementError, match=f"key '{key}': found nothing"):
            measurement.read(path)


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "null", "[" * 100_000, '"\ud800"'])
def test_what_is_no_measurement_is_refused(tmp_path, text):
    path = tmp_path / "m.json"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(MeasurementError) as caught:
        measurement.read(path)
    assert str(path) in str(caught.value)


def test_unknown_keys_are_passed_over(tmp_path):
    path = tmp_path / "m.json"
    path.write_text(json.dumps(measurement.to_json(example()) | {"more": 1}))
    assert measurement.read(path) == example()


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(MeasurementError, match="No such file"):
        measurement.read(tmp_path / "m.json")
    assert measurement.find(tmp_path) is None


def test_a_place_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(MeasurementError, match=r"cannot write measurement file .*--state-dir"):
        measurement.write(example(), tmp_path / "file" / "m.json")
    (tmp_path / "m.json").mkdir()
    with pytest.raises(MeasurementError, match="cannot write"):
        measurement.write(example(), tmp_path / "m.json")
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["file", "m.json"]


def test_state_dir_is_flag_then_environment_then_xdg_then_home():
    environ = {"CLARION_STATE_DIR": "/c", "XDG_STATE_HOME": "/x", "HOME": "/h"}
    assert measurement.state_dir("/f", environ) == Path("/f")
    assert measurement.state_dir(None, environ) == Path("/c")
    del environ["CLARION_STATE_DIR"]
    assert measurement.state_dir(None, environ) == Path("/x/clarion")
    environ["XDG_STATE_HOME"] = "relative"
    assert measurement.state_dir(None, environ) == Path("/h/.local/state/clarion")
