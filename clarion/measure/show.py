"""
A measurement as it goes, on stderr: a line a trial, and on a terminal what is being tried now.

Rule: the same words on a terminal and elsewhere; results go to stdout, by the command.
"""

import sys
from typing import TextIO

from clarion import units
from clarion.measure.campaign import disturbance
from clarion.measure.interference import DISTURBED_SHARE
from clarion.measure.search import Bounds, Outcome, Step
from clarion.measure.trial import Run
from clarion.measurement import Measurement, Verdict

_STYLES = {Outcome.PASSED: "green", Outcome.FAILED: "red", Outcome.TESTER: "yellow"}


class Lines:
    """An Observer that writes lines; with rich and a spinner where `err` is a terminal."""

    def __init__(self, trial_s: float, err: TextIO | None = None) -> None:
        from rich.console import Console

        self._console = Console(file=err or sys.stderr, highlight=False, soft_wrap=True)
        self._status = self._console.status("starting the load generator alone, flat out")
        self._step: Step | None = None
        self._trial_s = trial_s

    def __enter__(self) -> "Lines":
        if self._console.is_terminal:
            self._status.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._status.stop()

    def calibrated(self, flat_out_fps: float, ceiling_fps: float) -> None:
        """Say what the tester can do."""
        self._print(
            f"tester: {units.format_rate(flat_out_fps)} flat out; "
            f"offering up to {units.format_rate(ceiling_fps)}, {self._trial_s:g} s a trial"
        )

    def starting(self, number: int, step: Step, known: Bounds | None) -> None:
        """Say what is tried and why."""
        self._step = step
        now = f"trial {number}: {units.format_rate(step.fps)}  {step.why}{_so_far(known)}"
        self._status.update(now)

    def finished(self, number: int, run: Run) -> None:
        """Say how the trial went."""
        trial = run.trial
        why = f": {trial.reason}" if trial.reason else ""
        if trial.others_cores > DISTURBED_SHARE:
            why += f"; others took {trial.others_cores:.0%} of its processor"
        self._print(
            f"trial {number:>2}  {units.format_rate(trial.intended_fps):>9}  "
            f"cpu {trial.cpu_cores:>4.0%}  buffer {trial.socket_fill:>4.0%}  "
            f"backlog {trial.backlog_records:>9,}  {run.outcome}{why}  "
            f"({self._step.why if self._step else ''})",
            _STYLES[run.outcome],
        )

    def _print(self, text: str, style: str | None = None) -> None:
        self._console.print(text, style=style, markup=False)


def result_lines(measurement: Measurement) -> list[str]:
    """The result for people, each row with its own labels."""
    subject, passed = measurement.measured, [t for t in measurement.trials if t.passed]
    at_least = "at least " if measurement.verdict is Verdict.TESTER_LIMITED else ""
    row = "-" if subject.row_octets is None else f"{subject.row_octets:.1f}"
    memory = units.format_octets(measurement.rss_bytes)
    rows = (
        (
            "capacity",
            "[records/s, verdict]",
            f"{at_least}{measurement.capacity_fps:,.0f}, {measurement.verdict}",
        ),
        (
            "cost",
            "[cpu_us_per_flow, base_cores, memory]",
            f"{measurement.cpu_us_per_flow:.3f}, {measurement.cpu_base_cores:.3f}, {memory}",
        ),
        (
            "measured",
            "[protocol, records/datagram, exporters]",
            f"{subject.protocol}, {subject.records_per_datagram:g}, {subject.exporters}",
        ),
        ("storage", "[sink, octets/row]", f"{subject.sink}, {row}"),
        (
            "trials",
            "[all, passed, others' cpu]",
            f"{len(measurement.trials)}, {len(passed)}, {disturbance(measurement.trials):.0%}",
        ),
        (
            "host",
            "[cpu, cores, kernel]",
            f"{measurement.host.cpu_model}, {measurement.host.cores}, {measurement.host.kernel}",
        ),
    )
    return [f"{name:<10}{labels:<41}{values}" for name, labels, values in rows]


def _so_far(known: Bounds | None) -> str:
    if known is None:
        return ""
    lower = "nothing yet" if known.lower is None else units.format_rate(known.lower)
    upper = "" if known.upper is None else f", {units.format_rate(known.upper)} did not"
    return f"  (passed: {lower}{upper})"
