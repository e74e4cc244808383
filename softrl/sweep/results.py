"""results.csv: one row a member, a function of sweep.json and the ledger alone; clocks do not enter."""

import csv
import io
import math
from pathlib import Path
from typing import Any, NamedTuple

from softrl.storage import durable
from softrl.sweep import folder
from softrl.sweep.groups import Member

NAME = "results.csv"


class Result(NamedTuple):
    """What became of a member.

    status: `waiting`, `training`, `done`, `stopped` (successive halving) or `diverged`. cause: a sentence for the last
    two. final_return, best_return: of the last and the best evaluation's deterministic policy, undiscounted; NaN before
    the first. final_step, best_step: environment steps at those. changes: as the member has them at the end.
    """

    member: Member
    changes: dict[str, Any]
    status: str
    cause: str
    final_return: float
    best_return: float
    final_step: int
    best_step: int


def gather(members: tuple[Member, ...], lines: list[dict[str, Any]]) -> list[Result]:
    """The results that a ledger's lines hold of these members and of those that the ledger adds."""
    added = [proposed(line) for line in _of(lines, "member")]
    mine: dict[str, list[dict[str, Any]]] = {}
    finished = {name for line in _of(lines, "batch") for name in line["members"]}
    for line in lines:
        if line["kind"] not in ("member", "batch"):
            mine.setdefault(line["member"], []).append(line)
    return [_result(member, mine.get(member.id, []), member.id in finished) for member in (*members, *added)]


def evaluations(lines: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """A ledger's evaluations by member, of each from the first to the last."""
    found: dict[str, list[dict[str, Any]]] = {}
    for line in sorted(_of(lines, "evaluation"), key=lambda line: line["step"]):
        found.setdefault(line["member"], []).append(line)
    return found


def proposed(line: dict[str, Any]) -> Member:
    """The member of a ledger's line of kind `member`."""
    return Member(line["member"], line["group"], line["batch"], line["seed"], line["changes"])


def _of(lines: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [line for line in lines if line["kind"] == kind]


def _result(member: Member, lines: list[dict[str, Any]], finished: bool) -> Result:
    looks = evaluations(lines).get(member.id, [])
    lineage = sorted(_of(lines, "lineage"), key=lambda line: line["step"])
    revived = lineage[-1]["step"] if lineage else -1  # it went on with the state of a member that was well
    ends = [line for line in _of(lines, "diverged") if line["step"] > revived] + _of(lines, "stopped")
    status, cause = ("done" if finished else "training" if looks else "waiting"), ""
    if ends:
        status, cause = ends[0]["kind"], ends[0]["cause"]
    changes = dict(member.changes)
    for line in lineage:
        changes |= line["changes"]
    if not looks:
        return Result(member, changes, status, cause, math.nan, math.nan, 0, 0)
    last = looks[-1]
    best = max(looks, key=lambda line: line["return_mean"] if math.isfinite(line["return_mean"]) else -math.inf)
    return Result(member, changes, status, cause, last["return_mean"], best["return_mean"], last["step"], best["step"])


def write(out: Path, rows: list[Result]) -> None:
    """Writes results.csv atomically; a float is written so that reading it gives the same float."""
    axes = [axis.name for axis in folder.read(out).axes]
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["id", "group", "batch", *axes, "seed", *Result._fields[2:]])
    for row in rows:
        member = row.member
        values = [row.changes[name] for name in axes]
        table.writerow([member.id, member.group, member.batch, *values, member.seed, *row[2:]])
    path = Path(out) / NAME
    with durable.explained("write", path):
        durable.write_atomically(path, text.getvalue().encode())
