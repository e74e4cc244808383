"""The gradient of the maximum-entropy objective of a small decision process, in numpy and double precision: by central
differences of the enumerated objective, which knows no scores; and the gradients of those who forget an entropy."""

from typing import NamedTuple

import numpy as np
from scipy.special import logsumexp

from tests.oracles.enumeration import Trajectories, trajectories


class Problem(NamedTuple):
    """transition `[S, A, S]`, reward `[S, A]`, initial `[S]`: what `trajectories` reads; logits `[S, A]` of a policy
    that knows no time; horizon T; temperature α."""

    transition: np.ndarray
    reward: np.ndarray
    initial: np.ndarray
    logits: np.ndarray
    horizon: int
    temperature: float
    log_prior: None = None


def tutorial() -> Problem:
    """Three states, two actions, four steps; entropies differ between states, or the future's could be forgotten."""
    transition = np.zeros((3, 2, 3))
    transition[0] = [[0.9, 0.05, 0.05], [0.1, 0.6, 0.3]]
    transition[1] = [[0.3, 0.6, 0.1], [0.05, 0.9, 0.05]]
    transition[2] = [[0.1, 0.1, 0.8], [0.0, 0.05, 0.95]]
    reward = np.array([[-1.0, -0.5], [-3.0, -2.0], [-0.2, 0.0]])
    logits = np.array([[0.3, -0.2], [0.0, 0.9], [-1.4, 0.1]])
    return Problem(transition, reward, np.array([0.6, 0.3, 0.1]), logits, 4, 0.7)


def random(seed: int) -> Problem:
    """Another of that size."""
    rng = np.random.default_rng(seed)
    transition, initial = rng.dirichlet(np.ones(3), (3, 2)), rng.dirichlet(np.ones(3))
    return Problem(transition, rng.normal(size=(3, 2)), initial, rng.normal(size=(3, 2)), 4, 0.4)


def log_policy(logits: np.ndarray) -> np.ndarray:
    """log π, `[..., A]`."""
    return logits - logsumexp(logits, axis=-1, keepdims=True)


def paths(problem: Problem) -> Trajectories:
    """All of them."""
    return trajectories(problem, problem.horizon)


def by_time(problem: Problem) -> np.ndarray:
    """The logits `[T, S, A]`, the same at every time."""
    return np.repeat(problem.logits[None], problem.horizon, axis=0)


def _taken(found: Trajectories, table: np.ndarray) -> np.ndarray:
    return table[np.arange(table.shape[0]), found.states, found.actions]


def probability(problem: Problem, found: Trajectories, logits: np.ndarray) -> np.ndarray:
    """Of every trajectory `[N]`, for logits `[T, S, A]`."""
    return np.exp(found.log_dynamics + _taken(found, log_policy(logits)).sum(1))


def objective(problem: Problem, found: Trajectories, logits: np.ndarray) -> float:
    """J = E[Σ r − α log π] for logits `[T, S, A]`."""
    entropies = -_taken(found, log_policy(logits)).sum(1)
    return float(probability(problem, found, logits) @ (found.reward + problem.temperature * entropies))


def gradient(problem: Problem, found: Trajectories) -> np.ndarray:
    """∂J/∂logits `[T, S, A]`, by central differences."""
    at, step, out = by_time(problem), 1e-5, np.zeros(by_time(problem).shape)
    for index in np.ndindex(at.shape):
        nudge = np.zeros(at.shape)
        nudge[index] = step
        up, down = (objective(problem, found, at + sign * nudge) for sign in (1.0, -1.0))
        out[index] = (up - down) / (2.0 * step)
    return out


def wrong_gradients(problem: Problem, found: Trajectories) -> dict[str, np.ndarray]:
    """E[Σ_t ∇ log π(a_t|s_t) × what the name says], `[T, S, A]`."""
    at = by_time(problem)
    surprise = -problem.temperature * _taken(found, log_policy(at))
    reward = _taken(found, np.repeat(problem.reward[None], problem.horizon, axis=0))
    to_go = np.cumsum(reward[:, ::-1], 1)[:, ::-1]
    later = np.cumsum(surprise[:, ::-1], 1)[:, ::-1]
    earned = {"no entropy": to_go, "only its own step's entropy": to_go + surprise, "no later reward": reward + later}
    chance, policy = probability(problem, found, at), np.exp(log_policy(at))
    out = {}
    for name, credit in earned.items():
        out[name] = np.zeros(at.shape)
        for t in range(problem.horizon):
            weighed = chance * credit[:, t]
            np.add.at(out[name][t], (found.states[:, t], found.actions[:, t]), weighed)
            np.subtract.at(out[name][t], found.states[:, t], weighed[:, None] * policy[t, found.states[:, t]])
    return out


def soft_values(problem: Problem) -> np.ndarray:
    """V `[T + 1, S]` of the policy, its own and all later entropies counted; 0 at the end."""
    log_pi, value = log_policy(problem.logits), np.zeros((problem.horizon + 1, len(problem.initial)))
    for t in reversed(range(problem.horizon)):
        q = problem.reward + problem.transition @ value[t + 1]
        value[t] = np.sum(np.exp(log_pi) * (q - problem.temperature * log_pi), -1)
    return value
