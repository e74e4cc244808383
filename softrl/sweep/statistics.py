"""What a few runs say about a setting: mean, median, interquartile mean, and how sure one may be of them.

Pure NumPy. Scores are undiscounted returns or anything else of which more is better; what is not finite never counts,
and the number that did is always given.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

Statistic = Callable[[np.ndarray], np.ndarray]
"""`[..., n]` scores to `[...]`; n is at least 1 and everything is finite."""

Scores = Sequence[np.ndarray]
"""For each task the scores of its runs, `[..., n_t]`."""

RESAMPLES = 2_000
"""Bootstrap resamples. The ends of a 95 % interval then wander by about 1 % of its width from seed to seed."""


class Interval(NamedTuple):
    """A statistic with its confidence interval, in the unit of the scores.

    point: of all scores; NaN where none is finite. low, high: the interval; NaN where a task has one score, since
    that says nothing of the spread. n: finite scores.
    """

    point: float
    low: float
    high: float
    n: int


class Cell(NamedTuple):
    """All runs of one setting.

    setting: name → value of the axes. n: runs with a finite score. diverged: runs that stopped learning; their score is
    that of the policy they stopped with, and it counts where it is finite. best: highest score.
    """

    setting: dict[str, Any]
    n: int
    diverged: int
    mean: float
    median: float
    iqm: float
    low: float
    high: float
    best: float


def mean(scores: np.ndarray) -> np.ndarray:
    """Arithmetic mean over the last axis."""
    return np.mean(scores, axis=-1)


def median(scores: np.ndarray) -> np.ndarray:
    """Median over the last axis."""
    return np.median(scores, axis=-1)


def interquartile_mean(scores: np.ndarray) -> np.ndarray:
    """Mean of the middle half over the last axis: ⌊n / 4⌋ scores are dropped at either end.

    Of up to three scores it is their mean.
    Source: Agarwal et al. 2021, arXiv:2108.13264, §4.3; the same cut as `scipy.stats.trim_mean(scores, 0.25)`.
    """
    ordered = np.sort(scores, axis=-1)
    count = ordered.shape[-1]
    return np.mean(ordered[..., count // 4 : count - count // 4], axis=-1)


def interval(
    tasks: Sequence[Sequence[float] | np.ndarray],
    statistic: Statistic = interquartile_mean,
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
    confidence: float = 0.95,
) -> Interval:
    """A statistic of runs × tasks with a stratified bootstrap percentile interval.

    Args:
      tasks: for each task (robot, say) the scores of its runs, on scales that may be pooled; they may differ in number.
      statistic: of the pooled scores. The rest: see `bootstrap`.
    """
    runs = [task for task in map(finite, tasks) if len(task)]
    pooled = lambda scores: statistic(np.concatenate(scores, axis=-1))
    return bootstrap(pooled, runs, seed=seed, resamples=resamples, confidence=confidence)


def bootstrap(
    statistic: Callable[..., np.ndarray],
    *columns: Scores,
    seed: int = 0,
    resamples: int = RESAMPLES,
    confidence: float = 0.95,
) -> Interval:
    """A statistic of one or two columns of tasks with its stratified bootstrap percentile interval.

    Each resample draws, in every task of every column by itself, as many runs as it has with replacement; the interval
    lies between the (1 − c)/2 and (1 + c)/2 quantiles of the statistic. Where a task has one run there is no interval,
    since what it would add is unknown: low and high are NaN. The same seed gives the same bits.

    Args: `statistic`: of as many columns, each a list of `[..., n_t]`. `columns`: lists of finite scores `[n_t]`.
      `confidence`: c, in (0, 1).
    Returns: n counts the runs of all columns. Without any run everything is NaN.
    Source: Agarwal et al. 2021, arXiv:2108.13264, §4.1.
    """
    runs = [len(task) for column in columns for task in column]
    if not runs:
        return Interval(np.nan, np.nan, np.nan, 0)
    point = float(statistic(*columns))
    if min(runs) < 2:
        return Interval(point, np.nan, np.nan, sum(runs))
    generator = np.random.default_rng(seed)
    values = statistic(*([_resampled(task, generator, resamples) for task in column] for column in columns))
    tail = 50.0 * (1.0 - confidence)
    low, high = np.percentile(values, [tail, 100.0 - tail])
    return Interval(point, float(low), float(high), sum(runs))


def _resampled(task: np.ndarray, generator: np.random.Generator, resamples: int) -> np.ndarray:
    return task[generator.integers(len(task), size=(resamples, len(task)))]


def finite(scores: Iterable[float | None]) -> np.ndarray:
    """The finite ones of some scores, `[n]`; None is a score that was never measured."""
    array = np.array([np.nan if score is None else score for score in scores], np.float64)
    return array[np.isfinite(array)]


def cell(setting: Mapping[str, Any], scores: Sequence[float | None], diverged: Sequence[bool], **options: Any) -> Cell:
    """One setting's row of a table. `options`: of `interval`, whose statistic is the interquartile mean."""
    some = finite(scores)
    spread = interval([some], **options)
    average, middle, best = (float(of(some)) if len(some) else np.nan for of in (mean, median, np.max))
    return Cell(dict(setting), len(some), int(sum(diverged)), average, middle, *spread[:3], best)


def cells(
    settings: Sequence[Mapping[str, Any]], scores: Sequence[float | None], diverged: Sequence[bool], **options: Any
) -> list[Cell]:
    """A row for each distinct setting among some runs, best interquartile mean first, settings without any last.

    Args: `settings`, `scores`, `diverged`: one entry a run; runs with equal settings (seeds left out) share a row.
    """
    together: dict[str, list[int]] = {}
    for run, setting in enumerate(settings):
        together.setdefault(json.dumps(dict(setting), default=repr), []).append(run)
    table = [
        cell(settings[runs[0]], [scores[run] for run in runs], [diverged[run] for run in runs], **options)
        for runs in together.values()
    ]
    return sorted(table, key=lambda row: -row.iqm if np.isfinite(row.iqm) else np.inf)
