"""A run's curve: its evaluations by environment step and by a training clock that stands still while they run."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

COLUMNS = {"env_steps": 0, "clock_s": 2, "return": 1, "updates": 0, "evaluated_s": 2}
"""What is kept of every evaluation, and with how many digits behind the point."""

Curve = Mapping[str, Sequence[float]]
"""Column -> its number at every evaluation, oldest first."""


def clock(evaluation: Mapping[str, Any]) -> float:
    """Seconds since the start of the process, imports and compilation included, without those of its evaluations."""
    return evaluation["seconds"] - evaluation["evaluated_s"]


def curve(evaluations: Sequence[Mapping[str, Any]]) -> dict[str, list[float]]:
    """The columns of evaluations as a worker tells them."""
    rows = [{**evaluation, "clock_s": clock(evaluation)} for evaluation in evaluations]
    return {name: [round(row[name], digits or None) for row in rows] for name, digits in COLUMNS.items()}


def at(curve: Curve, what: str, axis: str, value: float) -> float:
    """Column `what` where column `axis` is `value`, linear between two evaluations; NaN behind the last one."""
    return float(np.interp(value, curve[axis], curve[what], right=math.nan))


def reaches(curve: Curve, steps: float, seconds: float) -> bool:
    """Whether it goes on to so many environment steps and so many seconds of the training clock, both."""
    return curve["env_steps"][-1] >= steps and curve["clock_s"][-1] >= seconds


def updates_per_s(curve: Curve, steps: float) -> float:
    """Gradient updates a second of the training clock, within so many environment steps.

    It counts from the first evaluation with updates behind it: what lies before was exploring and compiling.
    """
    rows = zip(curve["env_steps"], curve["updates"], curve["clock_s"], strict=True)
    inside = [(updates, seconds) for env_steps, updates, seconds in rows if updates > 0 and env_steps <= steps]
    if len(inside) < 2:
        return math.nan
    (first, begin), (last, end) = inside[0], inside[-1]
    return (last - first) / (end - begin)
