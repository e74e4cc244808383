"""Which batches can run now: all of a grid at once; of a search, what the ledger so far decides."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from softrl.sweep import batch, folder, halving
from softrl.sweep.axes import Axis
from softrl.sweep.folder import Sweep
from softrl.sweep.groups import Group, Member, names_of
from softrl.sweep.ledger import Ledger
from softrl.sweep.search import Halving, Search


def ready_batches(out: Path, sweep: Sweep, search: Search | None, ledger: Ledger) -> list[Path]:
    """Writes the jobs of all batches that can run now and are not finished, and returns their directories; none when
    the sweep is done. A function of sweep.json and the ledger."""
    if isinstance(search, Halving):
        return [where for group in sweep.groups for where in _rung(out, group, search, ledger)]
    fields = {"search": sweep.about["search"], "ranges": ranges_of(sweep.axes)}
    return [where for group in sweep.groups for where in unfinished(out, group, ledger, **fields)]


def unfinished(out: Path, group: Group, ledger: Ledger, **fields: Any) -> list[Path]:
    """The directories of a group's batches that are not finished, their jobs written. `fields`: more of each `Job`."""
    batches: dict[str, list[Member]] = {}
    for member in group.members:
        batches.setdefault(member.batch, []).append(member)
    jobs = (batch.Job(group.id, name, group.config, tuple(members), **fields) for name, members in batches.items())
    left = (job for job in jobs if finished(group.id, job.batch) not in ledger.keys)
    return [batch.write(folder.batch_directory(out, group.id, job.batch), job) for job in left]


def _rung(out: Path, group: Group, search: Halving, ledger: Ledger) -> list[Path]:
    """The one rung of a group that can run now; those before, which it reads, are worked out again from the ledger."""
    stages = halving.rungs(search, len(group.members), group.config)
    members, lines, start = group.members, ledger.lines(), None
    for k, (name, rung) in enumerate(zip(names_of("r", len(stages)), stages, strict=True)):
        job = batch.Job(group.id, name, halving.config_of(rung, group.config), members, start=start)
        where = batch.write(folder.batch_directory(out, group.id, name), job)
        if finished(group.id, name) not in ledger.keys:
            return [where]
        if k + 1 < len(stages):
            order = halving.ranking(members, lines, halving.end(rung, group.config))
            ledger.add(halving.stopped(group, members, order, stages, k))
            slots = sorted(order[: stages[k + 1].members])
            members, start = tuple(members[slot] for slot in slots), {"batch": name, "slots": slots}
    return []


def finished(group: str, name: str) -> str:
    """The key of the ledger's line that says that a batch has finished."""
    return f"{group}/{name}/finished"


def ranges_of(axes: Sequence[Axis]) -> dict[str, tuple[float, float]]:
    """Traced axis -> the least and the greatest value that a search may give it; axes of numbers only."""
    return {
        axis.name: (min(axis.values), max(axis.values)) if axis.low is None else (axis.low, axis.high)
        for axis in axes
        if not axis.static and all(isinstance(value, (int, float)) for value in axis.values)
    }
