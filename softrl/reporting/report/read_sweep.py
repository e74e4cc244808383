"""A sweep's directory as a report."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from softrl.agents import algorithm
from softrl.config import is_number
from softrl.reporting.report.data import Axis, Member, Report
from softrl.sweep import folder, ledger, results
from softrl.tensors import named
from softrl.training.records import brief, described


def read(directory: Path) -> Report:
    """Reads sweep.json and the ledger; a sweep that is still going on is shown as far as it has come.

    Raises: CheckpointError where there is no sweep, or it is damaged.
    """
    sweep, lines = folder.read(directory), ledger.read(directory)
    about = sweep.about
    series = _series(sweep)
    evaluations = results.evaluations(lines)
    ends = {line["member"]: line["step"] for line in lines if line["kind"] in ("diverged", "stopped")}
    gathered = results.gather(sweep.members, lines)
    members = (_member(row, evaluations.get(row.member.id, []), ends, about["env"], series) for row in gathered)
    homes = (folder.batch_directory(directory, row.member.group, row.member.batch) for row in gathered)
    return Report(
        kind="sweep",
        title=Path(directory).resolve().name,
        about=_about(about, sweep),
        axes=tuple(_axis(axis) for axis in sweep.axes if axis.name != "env"),
        members=tuple(member._replace(home=home) for member, home in zip(members, homes, strict=True)),
        training=series,
        brief=tuple(series),
        config=named(about["groups"][0]["config"], separator=".") if about["groups"] else dict(about["base"]),
        surroundings={name: about.get(name) for name in ("versions", "commit", "machine")},
        seconds=_seconds(lines, gathered),
        command=f"softrl sweep SPEC --out {directory}",
    )


def _member(
    row: results.Result, evaluations: list[dict[str, Any]], ends: Mapping[str, int], env: str, series: Iterable[str]
) -> Member:
    looks = {name: [line.get(name) for line in evaluations] for name in ("return_mean", "return_std", *series)}
    return Member(
        id=row.member.id,
        task=str(row.changes.get("env", env)),
        seed=row.member.seed,
        setting={name: value for name, value in row.changes.items() if name != "env"},
        steps=np.array([line["step"] for line in evaluations], float),
        series={name: np.array(values, float) for name, values in looks.items()},
        status=row.status,
        cause=row.cause,
        at=ends.get(row.member.id),
    )


def _series(sweep: folder.Sweep) -> dict[str, str]:
    """What the ledger holds of members besides the return: name → meaning, of all their algorithms."""
    known: dict[str, str] = {}
    for name in dict.fromkeys(group.config.algorithm for group in sweep.groups):
        entry = algorithm(name)
        known |= {metric: described(entry)[f"train.{metric}"] for metric in brief(entry)}
    return {**known, "stochastic_return_mean": "of the sampling policy"}


def _axis(axis: Any) -> Axis:
    """Lists are drawn on a logarithmic axis where they grow by factors: 1e-4, 1e-3, 1e-2."""
    if axis.kind != "list":
        return Axis(axis.name, axis.kind.startswith("log"))
    values = [value for value in axis.values if is_number(value)]
    positive = len(values) == len(axis.values) and len(values) > 1 and min(values) > 0
    return Axis(axis.name, positive and max(values) / min(values) >= 8)


def _about(about: Mapping[str, Any], sweep: folder.Sweep) -> str:
    seeds, groups = len(about["seeds"]), len(about["groups"])
    search = f", {about['search']['method']} search" if about["search"] else ""
    programs = "1 compiled program" if groups == 1 else f"{groups} compiled programs"
    axes = ", ".join(axis.name for axis in sweep.axes) or "seeds alone"
    return f"{axes} × {seeds} seed{'s' if seeds != 1 else ''}, {programs}{search}"


def _seconds(lines: list[dict[str, Any]], rows: list[results.Result]) -> float | None:
    """Wall clock of all batches added up, of each the latest that one of its members was evaluated; compiling a
    program, which is in that of every batch of it, counts once."""
    batch = {row.member.id: (row.member.group, row.member.batch) for row in rows}
    longest: dict[tuple[str, str], tuple[float, float]] = {}
    for line in lines:
        if line["kind"] == "evaluation" and "wall_s" in (timing := line.get("timing", {})):
            key = batch.get(line["member"], ("", ""))
            longest[key] = max(longest.get(key, (0.0, 0.0)), (timing["wall_s"], timing.get("compile_s", 0.0)))
    programs = {(group, compiled) for (group, _), (_, compiled) in longest.items()}
    waited = sum(compiled for _, compiled in programs)
    return sum(wall - compiled for wall, compiled in longest.values()) + waited if longest else None
