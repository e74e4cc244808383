"""Optuna proposes batches of members by what the batches before have reached: ask, train, tell.

The ledger is the truth. Before every batch the study is built anew from it, so that a kill between asking and telling
cannot leave the study in another state than an undisturbed sweep's; DIR/optuna.journal is that study as a file (journal
storage, no server), for Optuna's own tools to read.
"""

import os
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from softrl.errors import library
from softrl.storage import durable
from softrl.sweep import results, statistics
from softrl.sweep.axes import Axis
from softrl.sweep.folder import Sweep
from softrl.sweep.groups import Group, in_order, names_of
from softrl.sweep.ledger import Ledger
from softrl.sweep.scheduling import finished, unfinished
from softrl.sweep.search import Optuna

NAME = "optuna.journal"


def propose(out: Path, search: Optuna, sweep: Sweep, ledger: Ledger) -> list[dict[str, Any]]:
    """Where a group's proposals so far have all been trained, asks for its next batch and writes it to the ledger.

    Returns: the new lines.
    Raises: ConfigError where Optuna is not installed.
    """
    optuna = library("optuna", "search optuna needs Optuna", "sweep")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    path = out / f".{NAME}.{os.getpid()}.tmp"
    lines, new = ledger.lines(), []
    try:
        for group in sweep.groups:
            mine = _whole([x for x in lines if x["kind"] == "member" and x["group"] == group.id], search, sweep)
            if any(finished(group.id, line["batch"]) not in ledger.keys for line in mine):
                continue
            study = _study(optuna, path, group, sweep, mine, lines)
            new += _asked(optuna, study, search, group, sweep, len(mine) // len(sweep.seeds))
        added = ledger.add(new)
        if path.exists():
            with durable.explained("write", out / NAME):
                os.replace(path, out / NAME)
    finally:
        for leftover in (path, path.with_name(path.name + ".lock")):
            leftover.unlink(missing_ok=True)
    return added


def _whole(mine: list[dict[str, Any]], search: Optuna, sweep: Sweep) -> list[dict[str, Any]]:
    """A group's proposals, without a last batch of which a power cut left a part: it is asked for again, and is the
    same."""
    start = sum(line["batch"] != mine[-1]["batch"] for line in mine)
    seeds = len(sweep.seeds)
    wanted = min(search.batch, search.trials - start // seeds) * seeds
    return mine if len(mine) - start >= wanted else mine[:start]


def ready_batches(out: Path, sweep: Sweep, ledger: Ledger) -> list[Path]:
    """Directories of the proposed batches that are not finished."""
    proposed = [results.proposed(line) for line in ledger.lines() if line["kind"] == "member"]
    groups = (group._replace(members=tuple(m for m in proposed if m.group == group.id)) for group in sweep.groups)
    return [where for group in groups for where in unfinished(out, group, ledger)]


def _study(optuna: Any, path: Path, group: Group, sweep: Sweep, mine: list[dict], lines: list[dict]) -> Any:
    """A study of what the ledger holds of a group: one finished trial for each proposal, its score over the seeds."""
    storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(path)))
    study = optuna.create_study(storage=storage, study_name=group.id, direction="maximize")
    space = _space(optuna, sweep.axes)
    rows = {row.member.id: row for row in results.gather((), lines)}
    for i in range(0, len(mine), len(sweep.seeds)):
        runs = mine[i : i + len(sweep.seeds)]
        scores = statistics.finite(rows[run["member"]].final_return for run in runs)
        failed = not scores.size
        trial = optuna.trial.create_trial(
            params={name: runs[0]["changes"][name] for name in space},
            distributions=space,
            value=None if failed else float(statistics.interquartile_mean(scores)),
            state=optuna.trial.TrialState.FAIL if failed else optuna.trial.TrialState.COMPLETE,
            user_attrs={"members": [run["member"] for run in runs]},
        )
        study.add_trial(trial)
    return study


def _asked(optuna: Any, study: Any, search: Optuna, group: Group, sweep: Sweep, done: int) -> list[dict[str, Any]]:
    """The ledger's lines for a group's next batch; none when it has had all its trials."""
    space, seeds = _space(optuna, sweep.axes), sweep.seeds
    names = names_of("m", search.trials * len(seeds))
    batches = names_of("b", -(-search.trials // search.batch))
    new = []
    for trial in range(done, min(done + search.batch, search.trials)):
        # A sampler for each trial: its draws are addressed, not taken from a stream that a kill would rewind.
        dice = random.Random(f"{search.seed}/{group.id}/{trial}").getrandbits(32)
        study.sampler = optuna.samplers.TPESampler(seed=dice, constant_liar=True)
        asked = study.ask(space).params
        params = {axis.name: _readable(axis, asked[axis.name]) for axis in sweep.axes if axis.name in asked}
        changes = in_order(sweep.axes, {**group.changes, **params})
        for j, seed in enumerate(seeds):
            name = f"{group.id}-{names[trial * len(seeds) + j]}"
            about = {"group": group.id, "batch": batches[done // search.batch], "seed": seed, "changes": changes}
            new.append({"key": name, "kind": "member", "member": name, **about})
    return new


def _readable(axis: Axis, value: Any) -> Any:
    """A drawn value to six digits, as everywhere in a sweep's axes, within its bounds; a listed one as it is."""
    return min(max(float(f"{value:.6g}"), axis.low), axis.high) if axis.drawn else value


def _space(optuna: Any, axes: Sequence[Axis]) -> dict[str, Any]:
    drawn = optuna.distributions.FloatDistribution
    return {
        axis.name: drawn(axis.low, axis.high, log=axis.kind == "log_uniform")
        if axis.drawn
        else optuna.distributions.CategoricalDistribution(axis.values)
        for axis in axes
        if not axis.static
    }
