"""The bounded linear-quadratic problem solved on a grid: x′ = 0.9x + 0.5a + w, w ~ N(0, 0.1²), r = −½(x² + 0.1a²).

γ = 0.95, temperature 0.2, a = tanh(u), u ~ N(mean(x), std(x)²). Cubic splines in x, Gauss–Hermite in u and w; twice the
nodes change no value below by 10⁻⁶.
"""

import numpy as np
from scipy.interpolate import CubicSpline

GAMMA, TEMPERATURE, NOISE, EDGE = 0.95, 0.2, 0.1, 8.0
AT = np.array([0.0, 1.0, 2.0])
BEST = np.array([1.0851085864082197, 0.18164467981601917, -2.8960324104651027])
"""Soft value of the best tanh-Gaussian policy at x = 0, 1, 2, by soft policy iteration with projection."""
BEST_MEAN = np.array([0.0, -0.9539181973133887, -1.4832120226452181])
BEST_STD = np.array([0.6338344152618947, 0.5954129954917962, 0.5579503996201978])
"""Its mean and std before the tanh there."""

GRID = np.linspace(-EDGE, EDGE, 161)
_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(48)
_WEIGHTS = _WEIGHTS / _WEIGHTS.sum()
_NOISE_NODES, _NOISE_WEIGHTS = np.polynomial.hermite_e.hermegauss(15)
_NOISE_WEIGHTS = _NOISE_WEIGHTS / _NOISE_WEIGHTS.sum()


def entropy(mean: np.ndarray, std: np.ndarray) -> np.ndarray:
    """Entropy of tanh(N(mean, std²)), nats."""
    u = mean[..., None] + std[..., None] * _NODES
    log_det = 2.0 * (np.log(2.0) - u - np.logaddexp(0.0, -2.0 * u))
    return 0.5 * np.log(2.0 * np.pi * np.e) + np.log(std) + log_det @ _WEIGHTS


def soft_value(mean: np.ndarray, std: np.ndarray) -> CubicSpline:
    """Soft policy evaluation, V = E[r + α H + γ V(x′)], of a policy given on GRID."""
    action = np.tanh(mean[:, None] + std[:, None] * _NODES)
    reward = -0.5 * (GRID[:, None] ** 2 + 0.1 * action**2)
    successor = np.clip(0.9 * GRID[:, None] + 0.5 * action, -EDGE, EDGE)
    now = reward @ _WEIGHTS + TEMPERATURE * entropy(mean, std)
    value = np.zeros_like(GRID)
    for _ in range(400):
        spline = CubicSpline(GRID, value)
        expected = CubicSpline(
            GRID, spline(np.clip(GRID[:, None] + NOISE * _NOISE_NODES, -EDGE, EDGE)) @ _NOISE_WEIGHTS
        )
        new = now + GAMMA * expected(successor) @ _WEIGHTS
        if np.abs(new - value).max() < 1e-9:
            break
        value = new
    return CubicSpline(GRID, value)


def own_estimate(min_q, mean: np.ndarray, std: np.ndarray) -> np.ndarray:
    """E_π[min Q − α log π] at AT. `min_q`: `(x [X], actions [X, P]) -> [X, P]`; mean, std: of the policy at AT."""
    actions = np.tanh(mean[:, None] + std[:, None] * _NODES)
    return min_q(AT, actions) @ _WEIGHTS + TEMPERATURE * entropy(mean, std)
