"""Replay as a plain Python list of everything that ever happened, and environments whose every number is unique."""

from typing import NamedTuple

import numpy as np


class Row(NamedTuple):
    """One transition of one environment; `next_obs` the true successor."""

    obs: float
    action: float
    reward: float
    terminated: bool
    truncated: bool
    next_obs: float
    valid: bool


class Window(NamedTuple):
    """What a learner should see; `next_obs` is None where the window may be anything (weight 0)."""

    obs: float
    action: float
    reward: float
    discount: float
    next_obs: float | None
    weight: float


def history(
    seed: int, *, steps: int, num_envs: int, length: int, deaths: float, faults: float, cuts: float = 0.0
) -> list[list[Row]]:
    """`steps` vector steps of environments that die, run out of time, break, and are cut (by a rule of their own) at
    random; the first are staggered.

    An observation is the number of the reset or step that made it, so that no two are alike.
    """
    random = np.random.default_rng(seed)
    unique = iter(range(1, 10**9))
    clock = [n * length // num_envs for n in range(num_envs)]
    now = [float(next(unique)) for _ in range(num_envs)]
    rows = []
    for _ in range(steps):
        row = []
        for n in range(num_envs):
            clock[n] += 1
            valid = random.random() >= faults
            terminated = valid and random.random() < deaths
            truncated = valid and not terminated and (clock[n] >= length or random.random() < cuts)
            successor = float(next(unique)) if valid else now[n]
            action, reward = random.uniform(-1, 1), random.normal() if valid else 0.0
            row.append(Row(now[n], action, reward, terminated, truncated, successor, valid))
            if terminated or truncated or not valid:
                clock[n], now[n] = 0, float(next(unique))
            else:
                now[n] = successor
        rows.append(row)
    return rows


def window(rows: list[list[Row]], t: int, n: int, n_step: int, gamma: float) -> Window:
    """The window of up to `n_step` transitions that starts at step t of environment n."""
    reward, discount, weight = 0.0, 1.0, 1.0
    for i in range(n_step):
        row = rows[t + i][n]
        reward += discount * row.reward
        discount = 0.0 if row.terminated else discount * gamma
        if not row.valid:
            weight = 0.0
        if row.terminated or row.truncated or not row.valid:
            break
    first = rows[t][n]
    return Window(first.obs, first.action, reward, discount, row.next_obs if weight else None, weight)


def recency_probabilities(ages: int, horizon: float, floor: float) -> np.ndarray:
    """∫_age^{age+1} max(floor, 1 − x / horizon) dx for each age, normalised; by the midpoint rule."""
    pieces = 2000
    x = (np.arange(ages * pieces) + 0.5) / pieces
    weight = np.maximum(floor, 1.0 - x / horizon).reshape(ages, pieces).sum(1)
    return weight / weight.sum()
