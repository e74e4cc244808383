"""Successive halving: rungs of fewer and fewer members that train longer and longer; each rung is a batch of its own.

Source: Karnin et al. 2013; Jamieson & Talwalkar 2016, arXiv:1502.07943. The survivors' whole states are gathered from
the end of one rung into the narrower population of the next, so nothing is trained twice, and what loses costs nothing
more.
"""

import itertools
import math
from typing import Any, NamedTuple

from softrl.config import change
from softrl.errors import ConfigError
from softrl.sweep.groups import Group, Member
from softrl.sweep.search import Halving
from softrl.training.config import Config


class Rung(NamedTuple):
    """One stage: how many members, and how many environment steps each has made at its end."""

    members: int
    steps: int


def rungs(search: Halving, members: int, config: Config) -> list[Rung]:
    """The stages of a population. The last one ends at the config's steps.

    Raises: ConfigError where there are too few members, or a stage would be shorter than a chunk.
    """
    stages = []
    for k in range(search.rungs):
        width = members // search.eta**k
        share = search.eta ** (search.rungs - 1 - k)
        chunks = math.ceil(config.training.steps / share / config.chunk_transitions)
        stages.append(Rung(width, chunks * config.chunk_transitions if k < search.rungs - 1 else config.training.steps))
    if stages[-1].members < 1:
        raise ConfigError(
            f"halving {members} members by {search.eta} leaves none for rung {search.rungs}: lower rungs or eta, or "
            f"give at least {search.eta ** (search.rungs - 1)} members"
        )
    if any(later.steps <= earlier.steps for earlier, later in itertools.pairwise(stages)):
        raise ConfigError(
            f"halving: a chunk is {config.chunk_transitions:,} steps, too long for {search.rungs} rungs within "
            f"{config.training.steps:,}: raise steps, or lower rungs, eta or chunk_steps"
        )
    return stages


def config_of(rung: Rung, config: Config) -> Config:
    """The config of one stage's batch; what falls during a run does so as in one that is never interrupted."""
    return change(config, seeds=rung.members, steps=rung.steps, schedule_steps=config.scheduled_steps)


def ranking(members: tuple[Member, ...], lines: list[dict[str, Any]], step: int) -> list[int]:
    """Slots from the best to the worst by the evaluation at `step`; members that had diverged come last, ties in slot
    order. What became of members after `step` changes nothing: a rung is judged again whenever the sweep looks."""
    scores = {
        line["member"]: line["return_mean"] for line in lines if line["kind"] == "evaluation" and line["step"] == step
    }
    lost = {line["member"] for line in lines if line["kind"] == "diverged" and line["step"] <= step}

    def worth(slot: int) -> float:
        score = scores.get(members[slot].id, -math.inf)
        return score if math.isfinite(score) and members[slot].id not in lost else -math.inf

    return sorted(range(len(members)), key=worth, reverse=True)


def stopped(group: Group, members: tuple[Member, ...], order: list[int], stages: list[Rung], k: int) -> list[dict]:
    """The ledger's lines for those that rung k leaves behind."""
    step, lines = end(stages[k], group.config), []
    for place in range(stages[k + 1].members, len(order)):
        name = members[order[place]].id
        cause = f"place {place + 1} of {len(members)} in rung {k + 1} of {len(stages)}"
        about = {"member": name, "step": step, "rung": k, "cause": cause}
        lines.append({"key": f"{name}/stopped", "kind": "stopped", **about})
    return lines


def end(rung: Rung, config: Config) -> int:
    """Environment steps at which a rung's last evaluation stands."""
    return config_of(rung, config).chunks * config.chunk_transitions
