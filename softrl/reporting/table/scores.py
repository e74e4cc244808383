"""Scores of an algorithm over tasks, and how sure one may be of them.

A column is an algorithm's normalised scores, one array `[n_t]` a task t, all finite, n_t ≥ 1 seeds. The statistics here
take them with leading axes, `[…, n_t]`, so that one call does all bootstrap resamples. NumPy only.

Source: Agarwal et al. 2021, arXiv:2108.13264, "Deep RL at the edge of the statistical precipice" (rliable).
"""

from collections.abc import Iterable

import numpy as np

from softrl.sweep import statistics
from softrl.sweep.statistics import Scores


def mean(scores: Scores) -> np.ndarray:
    """1/M Σ_t (1/n_t) Σ_i x_{t,i}: the mean over the M tasks of each one's mean over seeds, `[…]`."""
    return np.mean(_means(scores), axis=-1)


def median(scores: Scores) -> np.ndarray:
    """The median over tasks of each one's mean over seeds, `[…]`."""
    return np.median(_means(scores), axis=-1)


def interquartile_mean(scores: Scores) -> np.ndarray:
    """The mean of the middle half of all runs of all tasks, `[…]`; a task with more seeds has more weight (§4.3)."""
    return statistics.interquartile_mean(np.concatenate(scores, axis=-1))


def above(scores: Scores, threshold: float) -> np.ndarray:
    """One point of the performance profile (§4.2): 1/M Σ_t (1/n_t) Σ_i 1[x_{t,i} > τ], `[…]`."""
    return _over_tasks(np.mean(task > threshold, axis=-1) for task in scores)


def improvement(ours: Scores, theirs: Scores) -> np.ndarray:
    """The probability that a run of ours beats one of theirs on a random task (§4.3), `[…]`.

    1/M Σ_t 1/(n_t m_t) Σ_ij (1[x_{t,i} > y_{t,j}] + ½ 1[x_{t,i} = y_{t,j}]): the mean over tasks of the Mann-Whitney U
    statistic over its maximum.
    """
    return _over_tasks(_wins(one, other) for one, other in zip(ours, theirs, strict=True))


def _means(scores: Scores) -> np.ndarray:
    return np.stack([np.mean(task, axis=-1) for task in scores], axis=-1)


def _over_tasks(values: Iterable[np.ndarray]) -> np.ndarray:
    return np.mean(np.stack(list(values), axis=-1), axis=-1)


def _wins(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    if ours.ndim > 1:
        return np.array([_wins(one, other) for one, other in zip(ours, theirs, strict=True)])
    ordered = np.sort(theirs)  # all pairs at once would be n_t m_t numbers a resample
    below, not_above = (np.searchsorted(ordered, ours, side) for side in ("left", "right"))
    return np.mean(below + not_above) / (2 * len(theirs))
