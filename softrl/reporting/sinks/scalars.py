"""Records and ledger lines as plain named numbers: `eval/return_mean`, `train/entropy`, `timing/wall_s`."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from softrl.config import flat
from softrl.training.config import Config
from softrl.training.records import EVALUATED

_APART = {"updates": "updates", "quarantined": "health/quarantined"}
"""What stands in a line of the ledger without being of an evaluation or of training."""


def runs_of(config: Config, members: Sequence[Mapping[str, Any]] | None = None) -> Iterator[tuple[str, dict[str, Any]]]:
    """A run's members by name, with their settings: `""` for a solo run, `member0`, `member1`, … for several seeds.

    Args: `members`: what each has of its own, as `softrl.train` takes it.
    """
    settings, training = flat(config), config.training
    own = members or [{"seed": training.seed + index} for index in range(training.seeds)]
    for index, one in enumerate(own):
        yield _name(index, training.seeds), {**settings, **one}


def of_record(record: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, float]]]:
    """A line of metrics.jsonl, member by member, under the names of `runs_of`. What is not finite is left out."""
    members = len(np.ravel(record["eval"]["return_mean"]))
    for index in range(members):
        values: dict[str, Any] = {"updates": record["updates"]}
        for part in ("eval", "train", "health"):
            for name, numbers in record.get(part, {}).items():
                values[f"{part}/{name}"] = np.ravel(np.array(numbers, float))[index]
        values |= {f"timing/{name}": value for name, value in record.get("timing", {}).items()}
        yield _name(index, members), _finite(values)


def of_line(line: Mapping[str, Any]) -> dict[str, float]:
    """An evaluation of the ledger. What is not finite is left out."""
    values: dict[str, Any] = {}
    for name, value in line.items():
        if name == "timing":
            values |= {f"timing/{key}": seconds for key, seconds in value.items()}
        elif name not in ("key", "kind", "member", "step"):
            values[_APART.get(name) or f"{'eval' if name in EVALUATED else 'train'}/{name}"] = value
    return _finite(values)


def _name(index: int, members: int) -> str:
    return "" if members == 1 else f"member{index}"


def _finite(values: Mapping[str, Any]) -> dict[str, float]:
    numbers = {name: float(value) for name, value in values.items() if isinstance(value, int | float)}
    return {name: value for name, value in numbers.items() if math.isfinite(value)}
