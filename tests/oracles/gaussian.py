"""Conditioning of one big Gaussian over all states and actions, in numpy: plain linear algebra, no recursion."""

from typing import NamedTuple

import numpy as np


class Conditioned(NamedTuple):
    """Means `[T, m]`, `[T, n]`; covariances over the whole horizon, `[Tm, Tm]`, `[Tn, Tn]`; log evidence in nats."""

    actions: np.ndarray
    actions_covariance: np.ndarray
    states: np.ndarray
    states_covariance: np.ndarray
    log_evidence: float


def condition(problem, mean: np.ndarray, covariance: np.ndarray, horizon: int, temperature: float) -> Conditioned:
    """∝ N(x₁; mean, covariance) Π N(x_{t+1}; A x_t + B u_t, W) exp(−½ (xᵀQx + uᵀRu)/α), with du unweighted.

    Both covariances must be invertible.
    """
    A, B, Q, R, W = (np.asarray(x, float) for x in problem)
    n, m = B.shape
    size = horizon * (n + m)
    precision, linear, constant = np.zeros((size, size)), np.zeros(size), 0.0

    def state(t):
        return slice(t * n, (t + 1) * n)

    def action(t):
        return slice(horizon * n + t * m, horizon * n + (t + 1) * m)

    inverse = np.linalg.inv(covariance)
    precision[state(0), state(0)] += inverse
    linear[state(0)] += inverse @ mean
    constant -= 0.5 * (mean @ inverse @ mean + n * np.log(2 * np.pi) + np.linalg.slogdet(covariance)[1])
    for t in range(horizon):
        precision[state(t), state(t)] += Q / temperature
        precision[action(t), action(t)] += R / temperature
        if t + 1 < horizon:
            error = np.zeros((n, size))
            error[:, state(t + 1)], error[:, state(t)], error[:, action(t)] = np.eye(n), -A, -B
            precision += error.T @ np.linalg.solve(W, error)
            constant -= 0.5 * (n * np.log(2 * np.pi) + np.linalg.slogdet(W)[1])
    full = np.linalg.inv(precision)
    centre = full @ linear
    volume = 0.5 * (size * np.log(2 * np.pi) - np.linalg.slogdet(precision)[1])
    states, actions = slice(0, horizon * n), slice(horizon * n, size)
    return Conditioned(
        centre[actions].reshape(horizon, m),
        full[actions, actions],
        centre[states].reshape(horizon, n),
        full[states, states],
        float(constant + 0.5 * linear @ centre + volume),
    )
