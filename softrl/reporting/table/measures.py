"""What is read off a learning curve: its end, its area, its height at a step or a second."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from softrl.reporting.table.results import Result


class Measure(NamedTuple):
    """name: heading. about: a sentence. of: result → number, NaN where it was not measured. steps: environment steps
    that the number is of, None where it is of the end of each curve, 0 where it is of none."""

    name: str
    about: str
    of: Callable[[Result], float]
    steps: int | None


def wanted(at_steps: int | None = None, at_seconds: float | None = None) -> list[Measure]:
    """The measures of a table; those at a step or a second come first, where they are asked for."""
    measures = [
        Measure("final return", "Return of the policy's mode at the last evaluation.", final, None),
        Measure("area under the curve", "Area under the return over environment steps, divided by the steps.", area, 0),
    ]
    if at_seconds is not None:
        name = f"return at {at_seconds:g} s"
        about = "Return by seconds since the start, compilation included, linear between two evaluations."
        measures.insert(0, Measure(name, about, lambda result: at(result, "seconds", at_seconds), 0))
    if at_steps is not None:
        name = f"return at {at_steps:,} steps"
        about = "Return by environment steps, linear between two evaluations."
        measures.insert(0, Measure(name, about, lambda result: at(result, "env_steps", at_steps), at_steps))
    return measures


def final(result: Result) -> float:
    """The return of the last evaluation; NaN where there is none, or it is not finite."""
    returns = result.curve["return"]
    return float(returns[-1]) if len(returns) and np.isfinite(returns[-1]) else np.nan


def area(result: Result) -> float:
    """∫ return d steps / (last − first step), by trapezoids; NaN with one evaluation, or one that is not finite."""
    steps, returns = result.curve["env_steps"], result.curve["return"]
    if len(steps) < 2 or steps[-1] <= steps[0] or not np.isfinite(returns).all():
        return np.nan
    return float(np.trapezoid(returns, steps) / (steps[-1] - steps[0]))


def at(result: Result, axis: str, value: float) -> float:
    """The return where `axis` of the curve is `value`, linear in between; NaN beyond its ends: nothing is foretold."""
    x, returns = result.curve[axis], result.curve["return"]
    if not len(x) or not np.isfinite(x).all() or not x[0] <= value <= x[-1]:
        return np.nan
    height = float(np.interp(value, x, returns))
    return height if np.isfinite(height) else np.nan


def start(result: Result) -> float:
    """The return before the first step, of a policy that has learned nothing; NaN where it was not measured."""
    return at(result, "env_steps", 0.0)
