"""`clarion plan`: how many instances, and what each needs."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from clarion.measurement import Measurement


def plan(
    peak: Annotated[str, typer.Option(help="Highest load, e.g. 10M/h, 2778/s, 1.5M/min.")],
    margin: Annotated[float, typer.Option(help="Design for peak times this, 1 or more.")] = 2.0,
    capacity: Annotated[
        str | None, typer.Option(help="What one instance takes, e.g. 250/s; else as measured.")
    ] = None,
    measurement: Annotated[
        Path | None, typer.Option(help="A measurement file; default: the state directory's.")
    ] = None,
    exporters: Annotated[
        int | None, typer.Option(help="How many exporters there are; default: spread evenly.")
    ] = None,
    weights: Annotated[
        str, typer.Option(help="How the load is divided between them: equal or zipf.")
    ] = "equal",
    spare: Annotated[int, typer.Option(help="Instances that may be lost at peak.")] = 1,
    stall: Annotated[
        str | None, typer.Option(help="Longest pause to survive; default 250ms, assumed.")
    ] = None,
    drain: Annotated[str, typer.Option(help="Level again this long after a pause.")] = "1s",
    state_dir: Annotated[
        Path | None, typer.Option(help="Where 'clarion measure' keeps its result.")
    ] = None,
    json_output: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
    csv: Annotated[str | None, typer.Option(help="Write the rows as CSV; - is stdout.")] = None,
    markdown: Annotated[
        str | None, typer.Option(help="Write the tables as Markdown; - is stdout.")
    ] = None,
) -> None:
    """
    Compute how many collectors you need, from what one was measured to take.

    Every number says where it comes from: *measured* (`clarion measure`), *given* (a flag), or
    *assumed*.

    Example: `clarion plan --peak 10M/h --margin 2`
    """
    from clarion import units
    from clarion.errors import UsageError
    from clarion.plan import planner, tables
    from clarion.plan.demand import Demand, Source
    from clarion.plan.model import Conditions
    from clarion.plan.share import Weights
    from clarion.plan.stalls import STALL_S

    if (json_output, csv == "-", markdown == "-").count(True) > 1:
        raise UsageError("only one of --json, --csv - and --markdown - can have stdout")
    if weights not in list(Weights):
        raise UsageError(f"weights {weights!r}: wanted equal or zipf, as in --weights zipf")
    demand = Demand(peak_fps=units.rate(peak), margin=margin)
    conditions = Conditions(
        stall_s=STALL_S if stall is None else units.seconds(stall),
        drain_s=units.seconds(drain),
        spare=spare,
        exporters=exporters,
        weights=Weights(weights),
    )
    given_fps = None if capacity is None else units.rate(capacity)
    known = _measurement(measurement, state_dir, capacity_given=capacity is not None)
    made = planner.make_plan(
        demand,
        planner.capacity(given_fps, known),
        conditions,
        known,
        Source.ASSUMED if stall is None else Source.GIVEN,
    )
    for target, text in ((csv, tables.to_csv), (markdown, tables.markdown)):
        if target == "-":
            sys.stdout.write(text(made))
        elif target is not None:
            _write(Path(target), text(made))
    if json_output:
        import json

        print(json.dumps(planner.to_json(made), allow_nan=False))
    elif "-" not in (csv, markdown):
        if sys.stdout.isatty():
            tables.show(made)
        else:
            print(tables.plain(made))


def _measurement(
    path: Path | None, state_dir: Path | None, *, capacity_given: bool
) -> "Measurement | None":
    """The named file, else the one kept; with a given capacity only a file that was named."""
    from clarion import measurement

    if path is not None:
        return measurement.read(path)
    return None if capacity_given else measurement.find(measurement.state_dir(state_dir))


def _write(path: Path, text: str) -> None:
    from clarion.errors import ClarionError

    try:
        path.write_text(text, encoding="utf-8")
    except OSError as err:
        raise ClarionError(
            f"cannot write {path}: {err.strerror}; name a file you may write, or - for stdout"
        ) from err
