"""Results: one seed's learning curve as a small JSON file.

    {"suite", "task", "algorithm", "preset", "seed", "steps",
     "curve": {"env_steps": [E], "updates": [E], "seconds": [E], "return": [E], "stochastic_return": [E]},
     "about": {"commit", "versions", "machine", "device", "note"}}

and, where a setting differs from the preset's, "setting": {name: value}.
"""

import math
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from softrl.errors import CheckpointError
from softrl.storage import durable

CURVE = ("env_steps", "updates", "seconds", "return", "stochastic_return")
FIELDS = ("suite", "task", "algorithm", "preset", "seed", "steps", "curve", "about")


class Result(NamedTuple):
    """One seed.

    suite: the name of a set of tasks; empty for a run of one's own. task: the environment. setting: what differs from
    the preset. steps: environment steps that were asked for. curve: name → `[E]`, one entry an evaluation: environment
    steps, gradient updates, seconds since the start (compilation is in them), mean undiscounted return of the policy's
    mode and of its samples; NaN where one was not measured. about: commit, versions, machine, device, note.
    """

    suite: str
    task: str
    algorithm: str
    preset: str
    seed: int
    steps: int
    curve: dict[str, np.ndarray]
    about: dict[str, Any]
    setting: Mapping[str, Any] = MappingProxyType({})

    @property
    def finished(self) -> bool:
        """Whether its last evaluation is at the steps that were asked for."""
        done = self.curve["env_steps"]
        return bool(len(done) and done[-1] >= self.steps)


def write(result: Result, path: Path) -> Path:
    """Writes a result; it appears whole or not at all.

    Raises: CheckpointError: the file system refused.
    """
    about = {name: value for name, value in result._asdict().items() if name != "setting" or value}
    about["curve"] = {name: _numbers(values) for name, values in result.curve.items()}
    with durable.explained("write", path):
        path.parent.mkdir(parents=True, exist_ok=True)
        durable.write_atomically(path, _by_line(about).encode() + b"\n")
    return path


def _numbers(values: np.ndarray) -> list[float]:
    """Counts as whole numbers."""
    return [int(value) if math.isfinite(value) and value == int(value) else float(value) for value in values]


def _by_line(about: Mapping[str, Any], indent: str = " ") -> str:
    """JSON with a line for every field of it and of its tables: a curve's series are one line each."""
    fields = (
        f'{indent}"{name}": '
        + (_by_line(value, indent + " ") if isinstance(value, Mapping) and value else durable.encode(value))
        for name, value in about.items()
    )
    return "{\n" + ",\n".join(fields) + f"\n{indent[1:]}}}"


def parsed(data: dict[str, Any], path: Path) -> Result:
    """The result that a file holds.

    Raises: CheckpointError naming what it lacks.
    """
    missing = [name for name in FIELDS if name not in data]
    missing += [f"curve.{name}" for name in CURVE if name not in data["curve"]]
    if missing:
        raise CheckpointError(f"{path} is not a result: it has no {', '.join(missing)}; make it again from its run")
    try:
        curve = {name: np.array(data["curve"][name], float) for name in CURVE}
        if {np.shape(values) for values in curve.values()} != {(len(curve["return"]),)}:
            raise ValueError("the series of its curve differ in length")
    except (TypeError, ValueError) as error:
        raise CheckpointError(f"{path} is damaged: {error}; make it again from its run") from None
    return Result(**{name: data[name] for name in FIELDS} | {"curve": curve}, setting=data.get("setting", {}))
