"""
The whole measurement: calibrate the tester, search, and conclude.

Rule: the search decides what to try and `trial` runs it; here are only the clock, the budget and
the sum of what was seen. What happens is told to an observer, which draws it.
"""

import contextlib
import datetime
import os
import socket
import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from clarion import __version__
from clarion.errors import MeasurementError
from clarion.measure.host import describe_host
from clarion.measure.interference import DISTURBED_SHARE
from clarion.measure.search import Bounds, Goal, Outcome, Step, Tried, bounds, next_step
from clarion.measure.trial import Run, Setup, offer, run_trial
from clarion.measurement import Host, Measurement, Subject, Trial, Verdict

# Of what the tester sends flat out, what it can be trusted to send on time.
_TRUSTED = 0.9
_FLAT_OUT_FPS = 50e6
_FLAT_OUT_S = 1.0
_MOST_TRIALS = 60
# A trial takes this long besides sending: two starts, settling, draining.
_OVERHEAD_S = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """
    How much to spend: seconds a trial, relative width, passes needed, seconds in all.

    Only a `thorough` one that comes to its end gives a final verdict.
    """

    trial_s: float
    width: float
    repeats: int
    budget_s: float
    thorough: bool


QUICK = Effort(trial_s=2.0, width=0.05, repeats=2, budget_s=52.0, thorough=False)
STANDARD = Effort(trial_s=10.0, width=0.02, repeats=3, budget_s=1200.0, thorough=True)


class Observer(Protocol):
    """Is told what happens; rates in records per second."""

    def calibrated(self, flat_out_fps: float, ceiling_fps: float) -> None:
        """The tester sent so much flat out, and is trusted with so much."""

    def starting(self, number: int, step: Step, known: Bounds | None) -> None:
        """A trial begins; `known` is what the ones before have shown, if any."""

    def finished(self, number: int, run: Run) -> None:
        """A trial is over."""


RunTrial = Callable[[float], Run]


def measure(
    setup: Setup,
    effort: Effort,
    observer: Observer,
    *,
    start_fps: float = 50_000.0,
    fps_max: float | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Measurement:
    """
    Find what one collector takes without loss on this machine.

    Args:
        setup: what is measured.
        effort: QUICK or STANDARD.
        observer: is told what happens.
        start_fps: the first load.
        fps_max: never offer more.
        clock: monotonic seconds.

    Raises:
        MeasurementError: a process failed, or no load passed.
    """
    deadline = clock() + effort.budget_s
    host = describe_host()
    with _on_processor(setup.tester_cpu):
        runs, goal, complete = _try_all(
            setup, effort, observer, start_fps, fps_max, deadline, clock
        )
    return conclude(setup, effort, goal, runs, complete=complete, host=host)


@contextlib.contextmanager
def _on_processor(cpu: int | None) -> Iterator[None]:
    """Stay, and start what we start, beside the tester: the collector's processor is its own."""
    before = os.sched_getaffinity(0)
    if cpu is not None:
        os.sched_setaffinity(0, {cpu})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _try_all(
    setup: Setup,
    effort: Effort,
    observer: Observer,
    start_fps: float,
    fps_max: float | None,
    deadline: float,
    clock: Callable[[], float],
) -> tuple[list[Run], Goal, bool]:
    flat_out = calibrate(setup)
    ceiling = min(flat_out * _TRUSTED, fps_max or flat_out * _TRUSTED)
    observer.calibrated(flat_out, ceiling)
    goal = Goal(
        start_fps=start_fps, ceiling_fps=ceiling, width=effort.width, repeats=effort.repeats
    )
    runs, complete = search(
        goal,
        lambda fps: run_trial(setup, fps, effort.trial_s, width=effort.width),
        observer,
        trial_s=effort.trial_s,
        deadline=deadline,
        clock=clock,
    )
    return runs, goal, complete


def calibrate(setup: Setup) -> float:
    """
    What the tester sends flat out, records per second, to a socket that nobody reads.

    The kernel throws away what does not fit, which is less work than queueing it: an upper bound.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as nobody:
        nobody.bind(("127.0.0.1", 0))
        sent = offer(setup, _FLAT_OUT_FPS, _FLAT_OUT_S, nobody.getsockname()[1])
    if sent.sent_fps <= 0:
        raise MeasurementError("the load generator sent nothing; try clarion loadgen by itself")
    return sent.sent_fps


def search(
    goal: Goal,
    trial: RunTrial,
    observer: Observer,
    *,
    trial_s: float,
    deadline: float,
    clock: Callable[[], float],
) -> tuple[list[Run], bool]:
    """
    Run trials until the search is over, or the next one might not end before the deadline.

    Returns the runs in order, and whether the search came to its end.
    """
    runs: list[Run] = []
    longest_s = trial_s + _OVERHEAD_S
    while len(runs) < _MOST_TRIALS:
        tried = [_tried(run) for run in runs]
        step = next_step(goal, tried)
        if step is None:
            return runs, True
        began = clock()
        if runs and began + longest_s > deadline:
            return runs, False
        observer.starting(len(runs) + 1, step, bounds(goal, tried) if tried else None)
        run = trial(step.fps)
        # Exactly the load the search asked for, whatever the printed one was rounded to.
        run = replace(run, trial=replace(run.trial, intended_fps=step.fps))
        runs.append(run)
        longest_s = max(longest_s, clock() - began)
        observer.finished(len(runs), run)
    return runs, False


def conclude(
    setup: Setup, effort: Effort, goal: Goal, runs: list[Run], *, complete: bool, host: Host
) -> Measurement:
    """
    The Measurement of the runs.

    Capacity is the least rate offered in the trials of the highest load that passed. CPU a
    record is the most of any passing trial at half the capacity or more, memory the most of any.
    Where other processes disturbed half of the trials the verdict is not final.

    Raises:
        MeasurementError: no load passed.
    """
    known = bounds(goal, [_tried(run) for run in runs])
    if known.lower is None:
        last = runs[-1].trial
        raise MeasurementError(
            f"no load passed, down to {last.intended_fps:,.0f} records/s: {last.reason}; "
            "is the machine busy? try --sink null: to leave storage out"
        )
    passing = [run for run in runs if run.outcome is Outcome.PASSED]
    final = [run for run in passing if run.trial.intended_fps == known.lower]
    heavy = [run.trial for run in passing if run.trial.intended_fps >= known.lower / 2]
    if known.tester_limited:
        verdict = Verdict.TESTER_LIMITED
    else:
        quiet = disturbance(run.trial for run in runs) <= DISTURBED_SHARE
        certain = effort.thorough and complete and quiet
        verdict = Verdict.FINAL if certain else Verdict.INDICATIVE
    return Measurement(
        date=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        clarion=__version__,
        host=host,
        measured=_subject(setup, final[-1]),
        trials=tuple(run.trial for run in runs),
        capacity_fps=min(run.trial.offered_fps for run in final),
        cpu_us_per_flow=max(trial.cpu_seconds / trial.records_sent * 1e6 for trial in heavy),
        rss_bytes=max(run.trial.peak_rss_bytes for run in passing),
        verdict=verdict,
        cpu_base_cores=base_cores(
            [(run.trial.offered_fps, run.trial.cpu_cores) for run in passing]
        ),
    )


def disturbance(trials: Iterable[Trial]) -> float:
    """The median share of the collector's processor that other processes took in the trials."""
    return statistics.median([trial.others_cores for trial in trials])


def base_cores(points: Sequence[tuple[float, float]]) -> float:
    """
    Processors used besides those that grow with the load: what is left at load 0.

        cores = a + b x fps        (least squares over the trials; a, not below 0)

    Of the three lowest, since batches grow with the load and a record then costs less.

    (100/s, 0.15), (200/s, 0.20): b is 0.0005, a 0.10.
    """
    lowest = sorted(set(points))[:3]
    if len({fps for fps, _ in lowest}) < 2:
        return 0.0
    return max(0.0, statistics.linear_regression(*zip(*lowest, strict=True)).intercept)


def _subject(setup: Setup, run: Run) -> Subject:
    return Subject(
        protocol=setup.protocol,
        records_per_datagram=run.sent.records_per_datagram,
        exporters=setup.exporters,
        sink=setup.sink.partition(":")[0],
        workers=1,
        steering="one socket",
        datagram_octets=run.sent.octets / run.sent.datagrams if run.sent.datagrams else None,
        row_octets=run.row_octets,
        rcvbuf_octets=run.rcvbuf_octets,
        bursts=setup.gso,
    )


def _tried(run: Run) -> Tried:
    return Tried(run.trial.intended_fps, run.outcome)
