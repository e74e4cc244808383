"""sweep.json: what is swept, resolved to every member, so that any machine can go on with it.

    {"format": 1, "env", "preset", "base": {setting: value}, "seeds": [...], "search": null or {"method", ...},
     "axes":    [{"name", "kind", "values", "static", "low", "high"}],
     "groups":  [{"id", "changes": {static axis: value}, "width": members in a batch, "config": nested, resolved}],
     "members": [{"id", "group", "batch", "seed", "changes": {axis: value, static ones too}}],
     "versions", "commit", "machine"}

The run directory of a batch is DIR/groups/<group>/<batch>; successive halving numbers its rungs as batches `r0`, `r1`,
…, of which a member is in more than one. What a sampler proposes later is in the ledger, not here.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from softrl.config import to_json, today
from softrl.errors import CheckpointError, ConfigError
from softrl.storage import directory, durable
from softrl.sweep import search
from softrl.sweep.axes import Axis
from softrl.sweep.groups import Group, Member
from softrl.sweep.spec import Spec
from softrl.training.config import read as read_config

NAME = "sweep.json"
FORMAT = 1
_MAY_DIFFER = ("versions", "commit", "machine")


class Sweep(NamedTuple):
    """A sweep as it is on disk. about: the whole of sweep.json."""

    axes: tuple[Axis, ...]
    seeds: tuple[int, ...]
    groups: tuple[Group, ...]
    about: dict[str, Any]

    @property
    def members(self) -> tuple[Member, ...]:
        """All members that the spec names, in order."""
        return tuple(member for group in self.groups for member in group.members)


def batch_directory(out: Path, group: str, batch: str) -> Path:
    """The run directory of a batch."""
    return Path(out) / "groups" / group / batch


def describe(spec: Spec, groups: tuple[Group, ...], surroundings: dict[str, Any]) -> dict[str, Any]:
    """What sweep.json holds. `surroundings`: versions, commit and machine."""
    return {
        "format": FORMAT,
        "env": spec.env,
        "preset": spec.preset,
        "base": dict(spec.base),
        "seeds": list(spec.seeds),
        "search": None if spec.search is None else {"method": search.method(spec.search), **to_json(spec.search)},
        "axes": [axis._asdict() for axis in spec.axes],
        "groups": [
            {"id": one.id, "changes": one.changes, "width": one.config.training.seeds, "config": to_json(one.config)}
            for one in groups
        ],
        "members": [member._asdict() for group in groups for member in group.members],
        **surroundings,
    }


def read(out: str | Path) -> Sweep:
    """The sweep in a directory.

    Raises: CheckpointError where there is none, it is damaged, or another version wrote it.
    """
    about = _read(Path(out))
    members: dict[str, list[Member]] = {}
    for row in about["members"]:
        members.setdefault(row["group"], []).append(Member(**row))
    groups = tuple(
        Group(row["id"], row["changes"], read_config(row["config"]), tuple(members.get(row["id"], ())))
        for row in about["groups"]
    )
    axes = tuple(Axis(**{**row, "values": tuple(row["values"])}) for row in about["axes"])
    return Sweep(axes, tuple(about["seeds"]), groups, about)


def _read(out: Path) -> dict[str, Any]:
    path = out / NAME
    if not path.exists():
        raise CheckpointError(f"{out} is not a sweep: it has no {NAME}")
    about = durable.read_object(path, "choose another directory")
    if about.get("format") != FORMAT:
        raise CheckpointError(f"{path} is damaged, or written by another version; choose another directory")
    return _today(about)


def _today(about: dict[str, Any]) -> dict[str, Any]:
    """What an older version wrote as this one writes it, so that they can be compared."""
    configs = [read_config(row["config"]) for row in about["groups"]]
    groups = [{**row, "config": to_json(config)} for row, config in zip(about["groups"], configs, strict=True)]
    if not configs:
        return {**about, "groups": groups}
    named = partial(today, configs[0])
    return {
        **about,
        "base": named(about["base"]),
        "axes": [_axis_today(named, row) for row in about["axes"]],
        "groups": [{**row, "changes": named(row["changes"])} for row in groups],
        "members": [{**row, "changes": named(row["changes"])} for row in about["members"]],
    }


def _axis_today(named: Callable[[dict[str, Any]], dict[str, Any]], row: dict[str, Any]) -> dict[str, Any]:
    values = [named({row["name"]: value}) for value in row["values"]]
    (name,) = named({row["name"]: None})
    return {**row, "name": name, "values": [value[name] for value in values]}


def exists(out: Path) -> bool:
    """Whether a sweep was begun in a directory."""
    return (Path(out) / NAME).exists()


def agree(out: Path, about: dict[str, Any]) -> list[str]:
    """Writes sweep.json of a new sweep, or refuses a spec that differs from the sweep that is there.

    Returns: dotted names of what else differs and may change bits: versions, commit, machine.
    Raises: ConfigError naming what differs; nothing is changed. CheckpointError: the file system refused.
    """
    path = Path(out) / NAME
    if not exists(out):
        with durable.explained("write", path):
            durable.write_atomically(path, durable.encode(about).encode() + b"\n")
        return []
    changed = directory.differences(_read(Path(out)), about)
    if different := [name for name in changed if name.split(".")[0] not in _MAY_DIFFER]:
        shown = ", ".join(different[:5]) + (" …" if len(different) > 5 else "")
        raise ConfigError(f"{out} holds another sweep: {shown} differ; use the same spec, or another --out")
    return changed
