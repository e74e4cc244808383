"""What a report shows, wherever it was read from."""

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from softrl.storage import durable
from softrl.sweep import statistics


class Axis(NamedTuple):
    """One varied field. log: its values are spread over orders of magnitude."""

    name: str
    log: bool


class Member(NamedTuple):
    """One run.

    id: its name. task: the robot. setting: axis → value, the robot and the seed left out. steps: `[E]` environment
    steps of its evaluations. series: name → `[E]` numbers, NaN where one was not measured; `return_mean` is always
    there. status: `waiting`, `training`, `done`, `stopped` or `diverged`; cause: a sentence for the last two, at: their
    step. home: the run directory that holds its policy, if it is the best one there.
    """

    id: str
    task: str
    seed: int
    setting: dict[str, Any]
    steps: np.ndarray
    series: dict[str, np.ndarray]
    status: str
    cause: str = ""
    at: int | None = None
    home: Path | None = None

    @property
    def final(self) -> float:
        """Return of the last evaluation; NaN before the first."""
        returns = self.series["return_mean"]
        return float(returns[-1]) if len(returns) else math.nan

    @property
    def peak(self) -> float:
        """Highest finite return of any evaluation."""
        some = statistics.finite(self.series["return_mean"])
        return float(some.max()) if len(some) else math.nan

    @property
    def peak_step(self) -> int:
        """Environment steps at that evaluation; 0 before the first."""
        highest = np.flatnonzero(self.series["return_mean"] == self.peak)
        return int(self.steps[highest[0]]) if len(highest) else 0


class Report(NamedTuple):
    """Everything on the page.

    kind: `sweep` or `run`. title: in a few words. about: small print under it. axes: what was varied, seeds and robots
    apart. training: names of the series that are drawn besides the return, with their meaning. brief: those of them
    that tables show. config: dotted name → value. surroundings: versions, commit, machine. seconds: of wall clock, None
    where nobody knows. video: an MP4 or GIF, None where there is none. film: what it shows, or why there is none.
    command: to make it again. held_out: return of a run's best policy on episodes that did not choose it, None where it
    was not measured.
    """

    kind: str
    title: str
    about: str
    axes: tuple[Axis, ...]
    members: tuple[Member, ...]
    training: Mapping[str, str]
    brief: tuple[str, ...]
    config: Mapping[str, Any]
    surroundings: Mapping[str, Any]
    seconds: float | None
    command: str
    video: bytes | None = None
    film: str = ""
    held_out: float | None = None

    @property
    def tasks(self) -> list[str]:
        """Robots, in order of appearance; returns of two of them are not comparable."""
        return list(dict.fromkeys(member.task for member in self.members))


class Group(NamedTuple):
    """The members of one setting and one robot, with their statistics. name: the setting in words."""

    name: str
    cell: statistics.Cell
    members: tuple[Member, ...]


def groups(members: tuple[Member, ...]) -> list[Group]:
    """The settings of one robot's members, best interquartile mean first."""
    together: dict[str, list[Member]] = {}
    enough = digits(member.setting for member in members)
    for member in members:
        together.setdefault(spelled(member.setting, digits=enough), []).append(member)
    found = []
    for name, some in together.items():
        cell = statistics.cell(some[0].setting, [m.final for m in some], [m.status == "diverged" for m in some])
        found.append(Group(name, cell, tuple(some)))
    return sorted(found, key=lambda group: -group.cell.iqm if math.isfinite(group.cell.iqm) else math.inf)


def bests(members: tuple[Member, ...]) -> list[Member]:
    """Of every robot the member with the highest finite evaluation; returns of two robots are not comparable."""
    found: dict[str, Member] = {}
    for member in members:
        if math.isfinite(member.peak) and (member.task not in found or member.peak > found[member.task].peak):
            found[member.task] = member
    return list(found.values())


def best(members: tuple[Member, ...]) -> Member | None:
    """The best member of the first robot that has one; None where there is none."""
    return next(iter(bests(members)), None)


def spelled(setting: Mapping[str, Any], empty: str = "all members", *, digits: int = 4) -> str:
    """A setting in words: `temperature 0.2 · width 64`; `empty` where nothing is varied."""
    return " · ".join(f"{name} {value_text(value, digits)}" for name, value in setting.items()) or empty


def digits(settings: Iterable[Mapping[str, Any]]) -> int:
    """How many digits of floats tell settings apart in words: four, or as many more as they need."""
    different = list({durable.encode(dict(setting)): setting for setting in settings}.values())
    texts = lambda count: {spelled(setting, digits=count) for setting in different}
    return next((count for count in (4, 6, 9) if len(texts(count)) == len(different)), 17)


def value_text(value: Any, digits: int = 4) -> str:
    """A setting's value as one would type it, floats in at most so many digits."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:.{digits}g}"
    if isinstance(value, list | tuple):
        return "×".join(value_text(one, digits) for one in value)
    return "none" if value is None else str(value)
