"""A plan in lines to print, with times where they are asked for."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from softrl import units
from softrl.sweep.plan import GroupPlan, Plan, plan
from softrl.sweep.spec import Spec, load


def planned(
    source: str | Path | Mapping[str, Any] | Spec,
    per_batch: int | None = None,
    memory_bytes: int | None = None,
    *,
    calibrate: bool = False,
) -> list[str]:
    """The lines of a spec's plan; see `plan`. `calibrate`: with times, which compiles."""
    made = plan(load(source), per_batch=per_batch, memory_bytes=memory_bytes)
    if calibrate:
        from softrl.sweep.calibration import calibrated  # loads all that trains; a plan alone does without

        made = calibrated(made)
    return text(made)


def text(plan: Plan) -> list[str]:
    """The plan in lines to print."""
    batches = sum(one.batches for one in plan.groups)
    axes = " × ".join(f"{axis.name} {len(axis.values) or axis.kind}" for axis in plan.spec.axes) or "no axes"
    lines = [
        f"{plan.members:,} members ({axes} × {len(plan.spec.seeds)} seeds) in {len(plan.groups):,} groups, "
        f"{len(plan.groups):,} compiled programs, {batches:,} batches"
    ]
    lines += [_line(one) for one in plan.groups[:20]]
    if len(plan.groups) > 20:
        lines.append(f"  and {len(plan.groups) - 20:,} groups more")
    steps = sum(one.env_steps for one in plan.groups)
    free = "unknown" if plan.memory is None else units.size(plan.memory)
    lines.append(f"{steps:,} environment steps; memory of a device: {free}, devices: {plan.devices}")
    if inexact := sorted({one.group.config.env.env for one in plan.groups if not one.exact}):
        lines.append(f"after a kill members at work begin new episodes: {', '.join(inexact)} cannot be put back")
    if plan.seconds is not None:
        lines.append(f"about {units.duration(plan.seconds)}, compilation included")
    return lines


def _line(one: GroupPlan) -> str:
    static = ", ".join(f"{name}={value}" for name, value in one.group.changes.items())
    width = one.group.config.training.seeds
    about = "" if one.seconds is None else f", about {units.duration(one.seconds)}"
    return (
        f"  {one.group.id}{': ' + static if static else ''}: {one.members:,} members in {one.batches:,} batches of "
        f"{width:,}; {units.size(one.member_bytes)} a member, at most {one.per_device:,} on a device; checkpoint "
        f"{units.size(one.checkpoint_bytes)}{about}{one.idle and '; ' + one.idle}"
    )
