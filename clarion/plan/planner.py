"""
The whole plan from what was asked and what was measured, as one value and one JSON object.

Rule: pure; no file, clock or terminal. The command reads, this computes, `tables` shows.
"""

from dataclasses import dataclass
from typing import Any

from clarion import units
from clarion.measurement import Measurement, Verdict
from clarion.plan.demand import Demand, Quantity, Source, instances
from clarion.plan.model import Conditions, Recommendation, heaviest_fps, recommend, share
from clarion.plan.resources import Costs, Level, Resource, costs, resources

# The guide's figure for an instance nobody has measured.
ASSUMED_CAPACITY_FPS = 250.0
_LEVELS = ((0.25, "25 % of peak"), (0.5, "50 % of peak"), (1.0, "peak"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The answer; `levels` are loads with the resources of each, the recommended one last."""

    demand: Demand
    capacity: Quantity
    conditions: Conditions
    at_peak: int
    with_margin: int
    recommended: Recommendation
    costs: Costs
    resources: list[Resource]
    levels: list[tuple[Level, list[Resource]]]
    notes: list[str]
    measurement: Measurement | None


def capacity(given_fps: float | None, measurement: Measurement | None) -> Quantity:
    """What one instance takes, records per second: given, else measured, else assumed."""
    if given_fps is not None:
        return Quantity(given_fps, Source.GIVEN, "--capacity")
    if measurement is not None:
        basis = f"{measurement.verdict}, {measurement.date}, {measurement.host.cpu_model}"
        return Quantity(measurement.capacity_fps, Source.MEASURED, basis)
    return Quantity(ASSUMED_CAPACITY_FPS, Source.ASSUMED, "nothing measured yet")


def make_plan(
    demand: Demand,
    capacity: Quantity,
    conditions: Conditions,
    measurement: Measurement | None = None,
    stall_source: Source = Source.ASSUMED,
) -> Plan:
    """
    Compute instances, resources and what must be said about them.

    `at_peak` and `with_margin` are the guide's arithmetic; `recommended` is the fuller model's,
    and `resources` are for that many instances at peak x margin.

    Raises:
        UsageError: a capacity that is not above 0.
    """
    recommended = recommend(demand, capacity.value, conditions)
    stall = Quantity(conditions.stall_s, stall_source, "a pause")
    cost = costs(capacity.value, measurement, stall)
    levels = []
    for part, name in (*_LEVELS, (demand.margin, f"peak x {demand.margin:g}")):
        fps = part * demand.peak_fps
        count = instances(fps, capacity.value)
        level = Level(name=name, fps=fps, instances=count, busiest_share=share(conditions, count))
        levels.append((level, resources(level, cost, min(fps, demand.peak_fps))))
    design = Level(
        name="recommended",
        fps=demand.design_fps,
        instances=recommended.instances,
        busiest_share=recommended.busiest_share,
    )
    rows = resources(design, cost, demand.peak_fps)
    return Plan(
        demand=demand,
        capacity=capacity,
        conditions=conditions,
        at_peak=instances(demand.peak_fps, capacity.value),
        with_margin=instances(demand.design_fps, capacity.value),
        recommended=recommended,
        costs=cost,
        resources=rows,
        levels=[*levels, (design, rows)],
        notes=_notes(demand, capacity, conditions, recommended, measurement),
        measurement=measurement,
    )


def sysctl(plan: Plan) -> str:
    """The line that lets a socket have the receive buffer the plan asks for."""
    buffer = next(row for row in plan.resources if row.key == "rcvbuf_octets")
    return f"sysctl -w net.core.rmem_max={int(buffer.per_instance)}"


def to_json(plan: Plan) -> dict[str, Any]:
    """The plan as one JSON object; rates in records per second, sizes in octets, times in s."""
    got, conditions = plan.recommended, plan.conditions
    return {
        "event": "plan",
        "peak_fps": plan.demand.peak_fps,
        "margin": plan.demand.margin,
        "design_fps": plan.demand.design_fps,
        "capacity_fps": plan.capacity.value,
        "capacity_source": str(plan.capacity.source),
        "capacity_basis": plan.capacity.basis,
        "instances_at_peak": plan.at_peak,
        "instances": plan.with_margin,
        "recommended": {
            "instances": got.instances,
            "binding": str(got.binding),
            "feasible": got.feasible,
            "terms": {str(term): count for term, count in got.terms.items()},
            "utilisation_cap": got.utilisation_cap,
            "stall_s": conditions.stall_s,
            "stall_source": str(plan.costs.stall_s.source),
            "drain_s": conditions.drain_s,
            "spare": conditions.spare,
            "exporters": conditions.exporters,
            "exporters_source": "assumed balanced" if conditions.exporters is None else "given",
            "weights": str(conditions.weights),
            "busiest_share": got.busiest_share,
            "instances_by_table": got.by_table,
        },
        "resources": [
            {
                "key": row.key,
                "unit": row.unit,
                "per_instance": row.per_instance,
                "total": row.total,
                "source": str(row.source),
                "basis": row.basis,
            }
            for row in plan.resources
        ],
        "levels": [
            {"level": level.name, "fps": level.fps, "instances": level.instances}
            | {row.key: row.total for row in rows if row.key not in ("fps", "rcvbuf_octets")}
            | {row.key: row.per_instance for row in rows if row.key == "rcvbuf_octets"}
            for level, rows in plan.levels
        ],
        "sysctl": sysctl(plan),
        "notes": plan.notes,
    }


def _notes(
    demand: Demand,
    capacity: Quantity,
    conditions: Conditions,
    recommended: Recommendation,
    measurement: Measurement | None,
) -> list[str]:
    """What a reader must know before the numbers are used, one sentence each."""
    notes = []
    if capacity.source is Source.ASSUMED:
        notes.append(
            f"capacity is assumed, {capacity.value:g} records/s an instance; "
            "measure yours: clarion measure --quick"
        )
    elif measurement is not None and capacity.source is Source.MEASURED:
        if measurement.verdict is Verdict.TESTER_LIMITED:
            notes.append("the load generator gave out first: capacity is at least what is shown")
        if measurement.verdict is Verdict.INDICATIVE:
            notes.append("capacity is indicative, from short trials; for final: clarion measure")
    if conditions.exporters is None:
        notes.append("exporters are assumed to spread evenly; give their number: --exporters K")
    elif not recommended.feasible:
        usable = units.format_rate(recommended.utilisation_cap * capacity.value)
        heaviest = units.format_rate(heaviest_fps(demand, conditions))
        notes.append(
            f"one exporter alone sends {heaviest} at peak x margin and one instance takes "
            f"{usable}: no number of instances is enough; split it by observation domain"
        )
    elif recommended.by_table is not None and recommended.by_table < recommended.instances:
        notes.append(
            f"hashing exporters over instances is uneven; assigned by a table, "
            f"{recommended.by_table} instances would do"
        )
    return notes
