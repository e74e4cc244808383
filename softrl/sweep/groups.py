"""From axes to members, and from members to groups that share a compiled program."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from softrl.sweep.axes import Axis
from softrl.sweep.search import Optuna
from softrl.sweep.spec import Spec
from softrl.training.config import Config


class Member(NamedTuple):
    """One run of a sweep. changes: a value for every axis, static ones too. batch: with whom it runs."""

    id: str
    group: str
    batch: str
    seed: int
    changes: Mapping[str, Any]


class Group(NamedTuple):
    """Members that one compiled program serves.

    changes: values on the static axes. config: of the program, with `seeds` its width. members: in order; a sampler's
    group has none before it begins.
    """

    id: str
    changes: Mapping[str, Any]
    config: Config
    members: tuple[Member, ...]


def expand(spec: Spec) -> tuple[Group, ...]:
    """All groups with all members, in the order of the spec; seeds vary fastest, drawn axes next. No batches yet.

    Raises: ConfigError where a group's preset does not exist or its settings do not fit.
    """
    cells = () if isinstance(spec.search, Optuna) else _cells([axis for axis in spec.axes if not axis.static])
    combinations = _cells([axis for axis in spec.axes if axis.static])
    ids = iter(names_of("m", len(combinations) * len(cells) * len(spec.seeds)))
    groups = []
    for name, changes in zip(names_of("g", len(combinations)), combinations, strict=True):
        settings = [in_order(spec.axes, {**changes, **cell}) for cell in cells]
        wanted = ((seed, values) for values in settings for seed in spec.seeds)
        if spec.search is not None:  # a population: each member its own seed
            wanted = ((spec.seeds[0] + i, values) for i, values in enumerate(settings))
        members = tuple(Member(next(ids), name, "", seed, values) for seed, values in wanted)
        groups.append(Group(name, changes, spec.config_of(changes), members))
    return tuple(groups)


def _cells(axes: Sequence[Axis]) -> list[dict[str, Any]]:
    """The lists crossed, and the drawn axes row by row."""
    listed = [[{axis.name: value} for value in axis.values] for axis in axes if not axis.drawn]
    drawn = [axis for axis in axes if axis.drawn]
    rows = [dict(zip([axis.name for axis in drawn], row, strict=True)) for row in zip(*(a.values for a in drawn))]  # noqa: B905
    choices = [*listed, rows] if drawn else listed
    return [{name: value for part in parts for name, value in part.items()} for parts in itertools.product(*choices)]


def in_order(axes: Sequence[Axis], values: Mapping[str, Any]) -> dict[str, Any]:
    """The values in the order of the axes."""
    return {axis.name: values[axis.name] for axis in axes}


def names_of(letter: str, count: int) -> list[str]:
    """`m00` … `m99`: as many digits as the last one needs, so that names sort as they count."""
    digits = len(str(max(count - 1, 0)))
    return [f"{letter}{i:0{digits}d}" for i in range(count)]


def split(group: Group, width: int) -> Group:
    """The group with its members assigned to batches of `width`, its config's `seeds`."""
    names = names_of("b", -(-len(group.members) // width))
    return group._replace(members=tuple(m._replace(batch=names[i // width]) for i, m in enumerate(group.members)))
