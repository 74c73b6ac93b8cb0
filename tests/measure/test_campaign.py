import os
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from clarion.errors import MeasurementError, UsageError
from clarion.measure import campaign, trial
from clarion.measure.campaign import Effort, measure
from clarion.measure.children import child
from clarion.measure.interference import Busy, busy, others_share
from clarion.measure.search import Goal, Outcome
from clarion.measure.trial import Setup, run_trial
from clarion.measurement import Host, Verdict

HOST = Host(cpu_model="any", cores=2, kernel="6.1")
FAKE = Path(__file__).with_name("fake_clarion.py")
SETUP = Setup(sink="null:", clarion=(sys.executable, str(FAKE)))
FAST = Effort(trial_s=0.6, width=0.5, repeats=1, budget_s=60.0, thorough=True)


class Silent:
    """An observer that remembers."""

    def __init__(self):
        self.steps = []
        self.runs = []
        self.ceiling_fps = 0.0

    def calibrated(self, flat_out_fps, ceiling_fps):
        self.ceiling_fps = ceiling_fps

    def starting(self, number, step, known):
        assert number == len(self.steps) + 1
        self.steps.append((step, known))

    def finished(self, number, run):
        self.runs.append(run)


@pytest.mark.net
def test_a_trial_of_a_collector_that_keeps_up(monkeypatch):
    monkeypatch.setenv("FAKE_CAPACITY", "1e6")
    run = run_trial(SETUP, 50_000, 0.6, width=0.1)
    assert run.outcome is Outcome.PASSED, run.trial
    assert run.trial.records_delivered == 30_000
    assert run.trial.cpu_seconds == pytest.approx(0.03, abs=0.01)
    assert run.rcvbuf_octets == 1_000_000
    assert run.row_octets is None


@pytest.mark.net
def test_a_buffer_larger_than_the_trial_does_not_pass_for_capacity(monkeypatch):
    monkeypatch.setenv("FAKE_CAPACITY", "100000")
    monkeypatch.setenv("FAKE_BUFFER", "1e9")
    run = run_trial(SETUP, 200_000, 0.6, width=0.1)
    assert run.outcome is Outcome.FAILED
    assert "backlog" in run.trial.reason
    assert sum(run.trial.losses.values()) == 0


@pytest.mark.net
@pytest.mark.slow
def test_the_capacity_is_found(monkeypatch):
    monkeypatch.setenv("FAKE_CAPACITY", "300000")
    seen = Silent()
    got = measure(SETUP, FAST, seen, start_fps=100_000)
    assert 150_000 < got.capacity_fps <= 300_000
    assert got.verdict is Verdict.FINAL
    assert got.cpu_us_per_flow == pytest.approx(1, rel=0.3)
    assert got.rss_bytes == 1000
    assert got.measured.protocol == "v9"
    assert len(got.trials) == len(seen.runs)
    assert got.host.cores >= 1


@pytest.mark.net
def test_the_tester_may_be_the_limit(monkeypatch):
    monkeypatch.setenv("FAKE_TESTER", "120000")
    got = measure(SETUP, FAST, Silent(), start_fps=100_000)
    assert got.verdict is Verdict.TESTER_LIMITED
    assert got.capacity_fps == pytest.approx(108_000, rel=0.01)


@pytest.mark.net
def test_no_more_than_the_user_allows(monkeypatch):
    seen = Silent()
    got = measure(SETUP, FAST, seen, start_fps=100_000, fps_max=5000)
    assert seen.ceiling_fps == 5000
    assert max(one.intended_fps for one in got.trials) == 5000


@pytest.mark.net
def test_nothing_passes(monkeypatch):
    monkeypatch.setenv("FAKE_BREAK", "one")
    with pytest.raises(MeasurementError, match=r"no load passed, down to .*delivered"):
        measure(SETUP, replace(FAST, budget_s=0.0), Silent())


@pytest.mark.net
@pytest.mark.parametrize(
    ("broken", "said"),
    [
        ("collect", "clarion collect ended without its ready: cannot bind: address in use"),
        ("loadgen", "clarion loadgen ended with exit code 1: cannot send: network unreachable"),
        ("dies", "clarion collect ended with exit code 1: out of memory"),
    ],
)
def test_a_child_that_fails_is_named_with_its_last_words(monkeypatch, broken, said):
    monkeypatch.setenv("FAKE_BREAK", broken)
    with pytest.raises(MeasurementError) as caught:
        run_trial(SETUP, 1000, 0.2, width=0.1)
    assert str(caught.value) == said


@pytest.mark.net
@pytest.mark.parametrize(
    ("broken", "said"), [("silent", "gave no ready in 0.5 s"), ("deaf", "did not end in 0.5 s")]
)
def test_a_child_that_hangs_is_ended(monkeypatch, broken, said):
    monkeypatch.setenv("FAKE_BREAK", broken)
    monkeypatch.setattr(trial, "_READY_S", 0.5)
    monkeypatch.setattr(trial, "_DRAIN_S", 0.5)
    monkeypatch.setattr("clarion.measure.children._ASK_S", 0.3)
    began = time.monotonic()
    with pytest.raises(MeasurementError, match=said):
        run_trial(SETUP, 1000, 0.1, width=0.1)
    assert time.monotonic() - began < 10


def test_a_child_that_does_not_exist():
    missing = replace(SETUP, clarion=("./no-such-program",))
    with pytest.raises(MeasurementError, match="cannot start clarion collect: No such file"):
        run_trial(missing, 1000, 0.1, width=0.1)


def test_a_child_does_not_outlive_an_interrupt():
    with (
        pytest.raises(KeyboardInterrupt),
        child("sleep", [sys.executable, "-c", "import time; time.sleep(60)"]) as running,
    ):
        raise KeyboardInterrupt
    assert running.process.poll() is not None


def test_only_tuning_reaches_the_collector():
    environ = {
        "PATH": "p",
        "CLARION_COLLECTOR_BACKEND_URL": "https://production",
        "CLARION_COLLECTOR_SINK": "null:",
        "CLARION_COLLECTOR_UDP_RCVBUF": "8MiB",
    }
    assert trial._environ(environ) == {"PATH": "p", "CLARION_COLLECTOR_UDP_RCVBUF": "8MiB"}


def test_the_parquet_folder_is_new_and_removed(tmp_path, monkeypatch):
    with trial._sink(f"parquet:{tmp_path}", 10) as (uri, stored):
        folder = Path(uri.removeprefix("parquet:"))
        assert folder.parent == tmp_path
        (folder / "a.parquet").write_bytes(b"123")
        assert stored() == 3
    assert not list(tmp_path.iterdir())
    with pytest.raises(UsageError, match="no folder"), trial._sink("parquet:no-such-folder", 1):
        pass
    with (
        pytest.raises(MeasurementError, match="MiB left and the trial may write"),
        trial._sink(f"parquet:{tmp_path}", 1e15),
    ):
        pass
    assert not list(tmp_path.iterdir())


def test_the_search_stops_before_its_deadline():
    now = [0.0]

    def slow(fps):
        now[0] += 10
        return run_of(fps)

    goal = Goal(start_fps=1000, ceiling_fps=1e12, width=0.01, repeats=1)
    runs, complete = campaign.search(
        goal, slow, Silent(), trial_s=2.0, deadline=45.0, clock=lambda: now[0]
    )
    assert not complete
    assert now[0] <= 45
    assert len(runs) == 4
    got = campaign.conclude(SETUP, FAST, goal, runs, complete=complete, host=HOST)
    assert got.verdict is Verdict.INDICATIVE
    assert got.capacity_fps == 64_000


@pytest.mark.parametrize(("others", "verdict"), [(0.05, Verdict.FINAL), (0.3, Verdict.INDICATIVE)])
def test_a_disturbed_measurement_is_not_final(others, verdict):
    goal = Goal(start_fps=1000, ceiling_fps=1e9, width=0.5, repeats=1)
    runs = [run_of(1000), run_of(1400, Outcome.FAILED)]
    runs = [replace(run, trial=replace(run.trial, others_cores=others)) for run in runs]
    got = campaign.conclude(SETUP, FAST, goal, runs, complete=True, host=HOST)
    assert got.verdict is verdict


def test_what_others_took_of_the_processor():
    assert others_share(Busy(10.0, 5.0), Busy(12.0, 6.5), 1.0) == pytest.approx(0.25)
    assert others_share(Busy(10.0, 5.0), Busy(12.0, 6.5), 1.6) == 0
    assert others_share(None, Busy(12.0, 6.5), 1.0) == 0
    reading = busy(min(os.sched_getaffinity(0)))
    assert reading is None or reading.seconds > 0
    assert busy(None) is None
    assert busy(100_000) is None


def test_base_cores_is_what_is_left_at_no_load():
    assert campaign.base_cores([(200, 0.20), (100, 0.15)]) == pytest.approx(0.10)
    assert campaign.base_cores([(200, 0.20), (100, 0.15), (150, 0.175), (1e6, 1.0)]) == (
        pytest.approx(0.10)
    )
    assert campaign.base_cores([(100, 0.1), (200, 0.3)]) == 0
    assert campaign.base_cores([(100, 0.1), (100, 0.2)]) == 0
    assert campaign.base_cores([]) == 0


def test_processors_are_two_or_none():
    assert trial.processors({3}) == (None, None)
    assert trial.processors({1, 2, 5}) == (5, 1)
    assert os.sched_getaffinity(0)


def run_of(fps, outcome=Outcome.PASSED):
    row = trial.Trial(
        intended_fps=fps,
        offered_fps=fps,
        delivered_fps=fps,
        seconds=2.0,
        records_sent=int(fps * 2),
        records_received=int(fps * 2),
        records_delivered=int(fps * 2),
        losses={},
        cpu_seconds=1.0,
        peak_rss_bytes=5,
        backlog_records=0,
        socket_fill=0.0,
        passed=outcome is Outcome.PASSED,
    )
    load = trial.Sent(
        ended_at=0.0,
        intended_fps=fps,
        sent_fps=fps,
        records=1,
        unsent=0,
        datagrams=1,
        octets=1,
        records_per_datagram=24,
        seconds=2.0,
    )
    return trial.Run(trial=row, outcome=outcome, sent=load, row_octets=None, rcvbuf_octets=None)
