"""The best setting of a sweep, and the command line that trains it alone."""

import json
import math
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from softrl.errors import CheckpointError, ConfigError, suggestion
from softrl.sweep import folder, ledger, results
from softrl.sweep.results import Result
from softrl.sweep.statistics import Cell, cells


class Best(NamedTuple):
    """The winner of one task. cell: of its table, the one with the highest interquartile mean. member: its best run.

    command: trains it. directory: run directory of the batch that the member was in; the policy in there is that of the
    batch's best evaluation, which may be another member's.
    """

    task: str
    cell: Cell
    member: Result
    command: str
    directory: Path


def best(out: str | Path, task: str | None = None) -> Best:
    """The setting with the highest interquartile mean of final returns, and its best member that went the whole way.

    A member that diverged counts with the return that it stopped with.

    Args: `task`: the environment, where the sweep has several: returns of two are not comparable.
    Raises: CheckpointError where there is no sweep, or no member has come to its end. ConfigError: several tasks.
    """
    found = bests(out)
    if task is None and len(found) > 1:
        raise ConfigError(f"{out} has winners in {', '.join(found)}: give task=, one of them, or use sweep.bests")
    if task is not None and task not in found:
        raise ConfigError(f"no member of {out} has finished in {task!r}{suggestion(task, found)}")
    return next(iter(found.values())) if task is None else found[task]


def bests(out: str | Path) -> dict[str, Best]:
    """The winner of every task in which a member has finished with a finite return, by its name.

    Raises: CheckpointError where there is no sweep, or no such member.
    """
    out = Path(out)
    sweep = folder.read(out)
    ended = [row for row in results.gather(sweep.members, ledger.read(out)) if row.status in ("done", "diverged")]
    tasks = {task: rows for task, rows in by_task(ended, sweep.about["env"]).items() if any(map(_is_done, rows))}
    if not tasks and any(row.status == "done" for row in ended):
        raise CheckpointError(f"no member of {out} has ended with a finite return: look at what its environment pays")
    if not tasks:
        raise CheckpointError(f"no member of {out} has finished yet; go on with `softrl sweep`")
    return {task: _winner(out, sweep, task, rows) for task, rows in tasks.items()}


def unfinished(out: str | Path) -> int:
    """How many members are not at their end."""
    rows = results.gather(folder.read(out).members, ledger.read(out))
    return sum(row.status in ("waiting", "training") for row in rows)


def by_task(rows: list[Result], env: str = "") -> dict[str, list[Result]]:
    """Members by their environment, in order; `env`: of those that have none of their own."""
    found: dict[str, list[Result]] = {}
    for row in rows:
        found.setdefault(str(row.changes.get("env", env)), []).append(row)
    return found


def _is_done(row: Result) -> bool:
    return row.status == "done" and math.isfinite(row.final_return)


def _winner(out: Path, sweep: folder.Sweep, task: str, rows: list[Result]) -> Best:
    done = list(filter(_is_done, rows))
    first = next(cell for cell in table(rows) if any(row.changes == cell.setting for row in done))
    mine = [row for row in done if row.changes == first.setting]
    top = max(mine, key=lambda row: (row.final_return, -row.member.seed))
    group = next(group for group in sweep.groups if group.id == top.member.group)
    alone = group.config.training.seeds == 1  # on the host a run has one seed
    seeds = [top.member.seed] if alone else [row.member.seed for row in mine]
    words = command(sweep.about, first.setting, seeds, top.member.seed)
    return Best(task, first, top, words, folder.batch_directory(out, top.member.group, _last_batch(out, top)))


def table(rows: list[Result]) -> list[Cell]:
    """A row for each setting of one task, seeds together, the best interquartile mean first."""
    diverged = [row.status == "diverged" for row in rows]
    return cells([row.changes for row in rows], [row.final_return for row in rows], diverged)


def command(about: dict[str, Any], changes: dict[str, Any], seeds: list[int], seed: int) -> str:
    """`softrl train` with a sweep's base and these values of its axes.

    Args: `about`: sweep.json. `seeds`: of the runs; where they follow one another, one command trains them all, and
    otherwise the one with `seed`.
    """
    settings = {**about["base"], **{name: value for name, value in changes.items() if name != "env"}}
    words = ["softrl", "train", changes.get("env", about["env"])]
    words += [] if about["preset"] == "tuned" else ["--preset", about["preset"]]
    for name, value in settings.items():
        words += _flag(name, value)
    together = sorted(seeds) == list(range(min(seeds), min(seeds) + len(seeds)))
    words += ["--seed", str(min(seeds) if together else seed)]
    words += ["--seeds", str(len(seeds))] if together and len(seeds) > 1 else []
    return shlex.join(words)


def _flag(name: str, value: Any) -> list[str]:
    dashed = name.replace("_", "-")
    if isinstance(value, bool):
        return [f"--{dashed}" if value else f"--no-{dashed}"]
    return [f"--{dashed}", json.dumps(value) if isinstance(value, Mapping) else str(value)]


def _last_batch(out: Path, row: Result) -> str:
    """The batch in which a member ended: its own, or of successive halving the last rung."""
    ended = [line for line in ledger.read(out) if line["kind"] == "batch" and row.member.id in line["members"]]
    return ended[-1]["batch"] if ended else row.member.batch
