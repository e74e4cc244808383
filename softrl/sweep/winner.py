"""The best setting of a sweep, and the command line that trains it alone."""

import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from softrl.errors import CheckpointError
from softrl.sweep import folder, ledger, results
from softrl.sweep.results import Result
from softrl.sweep.statistics import Cell, cells


class Best(NamedTuple):
    """cell: of the table, the one with the highest interquartile mean. member: the best run of it. command: trains it.

    directory: run directory of the batch that the member was in; its best policy is there.
    """

    cell: Cell
    member: Result
    command: str
    directory: Path


def best(out: str | Path) -> Best:
    """The winner among the members that went the whole way, by the interquartile mean of their final returns.

    Raises: CheckpointError where there is no sweep, or no member has come to its end.
    """
    out = Path(out)
    sweep = folder.read(out)
    rows = results.gather(sweep.members, ledger.read(out))
    ended = [row for row in rows if row.status == "done"]
    if not ended:
        raise CheckpointError(f"no member of {out} has finished yet; go on with `softrl sweep`")
    first = table(ended)[0]
    mine = [row for row in ended if row.changes == first.setting]
    top = max(mine, key=lambda row: (row.final_return, -row.member.seed))
    words = command(sweep.about, first.setting, [row.member.seed for row in mine], top.member.seed)
    return Best(first, top, words, folder.batch_directory(out, top.member.group, _last_batch(out, top)))


def table(rows: list[Result]) -> list[Cell]:
    """A row for each setting, seeds together, the best first: n, mean, median, IQM with its interval, diverged."""
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
