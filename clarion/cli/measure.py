"""`clarion measure`: what one collector takes with zero loss on this machine."""

from pathlib import Path
from typing import Annotated

import typer


def measure(
    quick: Annotated[
        bool, typer.Option("--quick", help="Under a minute: short trials, indicative.")
    ] = False,
    protocol: Annotated[
        str, typer.Option(metavar="v5|v9|ipfix", help="What the exporters speak.")
    ] = "v9",
    sink: Annotated[
        str,
        typer.Option(
            metavar="URI",
            help="Where the collector delivers: parquet (a temporary folder, removed after), "
            "parquet:DIR (the same, in DIR), null:, or any sink of clarion collect.",
        ),
    ] = "parquet",
    exporters: Annotated[int, typer.Option(metavar="K", help="Synthetic exporters.")] = 8,
    fps_max: Annotated[
        str | None, typer.Option(metavar="RATE", help="Never offer more, e.g. 2M/s.")
    ] = None,
    gso: Annotated[
        bool,
        typer.Option("--gso", help="Send in bursts: for where the tester is too slow otherwise."),
    ] = False,
    seed: Annotated[int, typer.Option(help="The same seed offers the same records.")] = 1,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the measurement here as well.")
    ] = None,
    state_dir: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Where it is kept for clarion plan. [$CLARION_STATE_DIR, else XDG state]",
        ),
    ] = None,
    json_output: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> None:
    """
    Measure what one collector takes with zero loss on this machine, and keep it for `clarion plan`.

    Starts collectors and a load generator of its own on loopback and searches for the highest
    rate at which nothing is lost and no backlog grows. Without --quick: ten-second trials, the
    result repeated three times, a few minutes.

    Example: `clarion measure --quick`
    """
    import json
    import os
    import signal
    import sys
    from types import FrameType

    from clarion import measurement as kept
    from clarion import units
    from clarion.errors import UsageError
    from clarion.measure.campaign import QUICK, STANDARD, disturbance
    from clarion.measure.campaign import measure as run
    from clarion.measure.interference import DISTURBED_SHARE
    from clarion.measure.show import Lines, result_lines
    from clarion.measure.trial import Setup, processors

    if protocol not in ("v5", "v9", "ipfix"):
        raise UsageError(f"protocol {protocol!r}: wanted v5, v9 or ipfix, as in --protocol v9")
    if exporters < 1:
        raise UsageError(f"exporters {exporters}: wanted 1 or more, as in --exporters 8")
    most = None if fps_max is None else units.rate(fps_max)
    if most is not None and most < 1:
        raise UsageError(f"fps-max {fps_max!r}: wanted 1/s or more, as in --fps-max 2M/s")

    def interrupt(_signal: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)  # so that the children are ended then too
    effort = QUICK if quick else STANDARD
    collector_cpu, tester_cpu = processors(os.sched_getaffinity(0))
    setup = Setup(
        protocol=protocol,
        exporters=exporters,
        sink=sink,
        seed=seed,
        gso=gso,
        collector_cpu=collector_cpu,
        tester_cpu=tester_cpu,
    )
    place = kept.state_dir(state_dir) / kept.FILE_NAME
    with Lines(effort.trial_s) as lines:
        found = run(setup, effort, lines, fps_max=most)
    if (others := disturbance(found.trials)) > DISTURBED_SHARE:
        print(
            f"clarion: other processes took {others:.0%} of the collector's processor: "
            "capacity is that of the rest; measure again on a quiet machine",
            file=sys.stderr,
        )
    for path in (place, out):
        if path is not None:
            kept.write(found, path)
    if json_output:
        print(json.dumps(kept.to_json(found), allow_nan=False))
    else:
        print("\n".join(result_lines(found)))
        print(f"kept in {place}; now: clarion plan --peak 10M/h", file=sys.stderr)
