"""One line an evaluation: what a run records."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from softrl.algorithm import Algorithm
from softrl.training.chunk import ChunkInfo
from softrl.training.config import Config
from softrl.training.evaluate import Evaluation
from softrl.training.state import RunState

METRICS = {
    "env_steps": "environment steps of each member",
    "updates": "updates of each member: gradient steps, or, of a rollout, all steps that learn from it",
    "eval.return_mean": "mean undiscounted return of the deterministic policy (the mode), per member",
    "eval.return_std": "standard deviation of that return over episodes",
    "eval.length_mean": "mean length of those episodes, environment steps",
    "eval.stochastic_return_mean": "mean return of the sampling policy, per member",
    "eval.stochastic_return_std": "standard deviation of that return over episodes",
    "eval.stochastic_length_mean": "mean length of those episodes, environment steps",
    "best.return_mean": "at a run's end, mean return of its best policy's mode on episodes that did not choose it",
    "best.return_std": "standard deviation of that return over episodes",
    "best.length_mean": "mean length of those episodes, environment steps",
    "train.episodes": "whole training episodes that ended since the last line",
    "train.return_mean": "their mean return, exploration included",
    "train.length_mean": "their mean length",
    "train.finite": "share of updates whose losses and gradients were numbers",
    "health.code": "0 learning, 1 frozen",
    "health.skipped": "updates skipped because they were not finite",
    "health.quarantined": "rows left out, of non-finite numbers",
    "timing.wall_s": "seconds since the run began, compiling included, all its sessions added up",
    "timing.compile_s": "seconds that this session spent compiling",
    "timing.env_steps_per_s": "environment steps a second of training since the last line, all members",
    "timing.updates_per_s": "gradient updates a second of training since the last line, all members",
}
"""The metrics of every run: meaning and unit. Those of its algorithm stand under `train` too."""


EVALUATED = (
    "return_mean",
    "return_std",
    "length_mean",
    "stochastic_return_mean",
    "stochastic_return_std",
    "stochastic_length_mean",
)
"""What a line says of an evaluation, by name."""

HELD_OUT = EVALUATED[:3]
"""What the last line says of the best policy."""


def brief(algorithm: Algorithm) -> tuple[str, ...]:
    """The metrics of an algorithm that a sweep keeps of every member."""
    return tuple(name for name, metric in algorithm.metrics.items() if metric.brief)


def kept(record: Mapping[str, Any], algorithm: Algorithm) -> dict[str, list[float]]:
    """What a sweep keeps of a line: its evaluation and its algorithm's brief metrics, over members."""
    parts = (("eval", EVALUATED), ("train", brief(algorithm)))
    return {name: record[part][name] for part, names in parts for name in names if name in record[part]}


def described(algorithm: Algorithm) -> dict[str, str]:
    """Every metric of an algorithm's runs: its meaning and unit."""
    own = {f"train.{name}": ", ".join(filter(None, metric[:2])) for name, metric in algorithm.metrics.items()}
    return METRICS | own


def tally(info: ChunkInfo) -> dict[str, list[float]]:
    """One chunk's numbers as plain lists over members, small enough to live in a checkpoint's metadata."""
    flat = {**info.collect._asdict(), **info.learn.agent._asdict(), "finite": info.learn.finite}
    return {name: np.asarray(value, np.float64).tolist() for name, value in flat.items()}


def train_part(tallies: list[dict[str, list[float]]]) -> dict[str, list[float]]:
    """The chunks since the last line as one: sums of episodes, means of learning."""
    if not tallies:
        return {}
    stacked = {name: np.asarray([chunk[name] for chunk in tallies]) for name in tallies[0]}
    returns, lengths, episodes = (stacked.pop(name).sum(0) for name in ("return_sum", "length_sum", "episodes"))
    with np.errstate(divide="ignore", invalid="ignore"):
        part = {"episodes": episodes, "return_mean": returns / episodes, "length_mean": lengths / episodes}
    part |= {name: finite_mean(values) for name, values in stacked.items()}
    return {name: np.asarray(value).tolist() for name, value in part.items()}


def finite_mean(table: np.ndarray) -> np.ndarray:
    """Means over the first axis of what is finite; NaN where nothing is."""
    good = np.isfinite(table)
    count = good.sum(0)
    return np.where(count > 0, np.where(good, table, 0.0).sum(0) / np.maximum(count, 1), np.nan)


def eval_part(evaluation: Evaluation) -> dict[str, list[float]]:
    """Means and spreads over whole episodes, per member; NaN where there was none."""
    returns, lengths, sampled, sampled_lengths = (np.asarray(x, np.float64) for x in evaluation)
    numbers = (*_over_episodes(returns, lengths), *_over_episodes(sampled, sampled_lengths))
    return {name: value.tolist() for name, value in zip(EVALUATED, numbers, strict=True)}


def _over_episodes(returns: np.ndarray, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean and standard deviation of the returns and mean length, of episodes whose return is a number."""
    whole = ~np.isnan(returns)
    count = np.where(whole.any(-1), whole.sum(-1), np.nan)
    mean = np.where(whole, returns, 0.0).sum(-1) / count
    with np.errstate(invalid="ignore"):  # infinite returns have no spread
        spread = np.where(whole, returns - mean[..., None], 0.0)
    return mean, np.sqrt((spread**2).sum(-1) / count), np.where(whole, lengths, 0.0).sum(-1) / count


def record(
    config: Config, run: RunState, evaluation: Evaluation, tallies: list, timing: dict[str, float]
) -> dict[str, Any]:
    """One line of metrics.jsonl."""
    counted = ("code", "skipped", "quarantined")
    return {
        "env_steps": int(run.clock.step) * config.env.num_envs,
        "updates": int(run.clock.update),
        "eval": eval_part(evaluation),
        "train": train_part(tallies),
        "health": {name: np.asarray(getattr(run.learner.health, name)).tolist() for name in counted},
        "timing": timing,
    }
