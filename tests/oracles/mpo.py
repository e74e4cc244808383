"""One iteration of maximum a posteriori policy optimisation where it has a closed form, in double precision.

Three states of equal weight, an old policy N(μ̄, σ̄²) at each, Q(s,a) = −h/2 (a − c)² + b. The best distributions within
KL ε are Gaussian, too, N(m, s²); the M-step's mean is (m + λ μ̄) / (1 + λ) and its variance (s² + (m − μ̄)² + λ σ̄²) /
(1 + λ), with the λ at which the KL from the old policy is its bound.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.optimize import brentq

CURVATURE, BEST, OFFSET = np.array([1.0, 4.0, 0.5]), np.array([0.8, -0.5, 2.0]), np.array([0.0, 3.0, -1.0])
MEAN, STD = np.array([0.0, 0.2, -0.3]), np.array([0.6, 0.3, 1.0])
BOUND_MEAN, BOUND_STD = 1e-3, 1e-4

TEMPERATURE = {0.01: 6.047541751037, 0.1: 1.626517318411, 0.5: 0.504248560372}
"""ε → η*; also by minimising the dual on a grid of 40,001 actions, elsewhere."""
DUAL = {0.01: -0.285645484879, 0.1: -0.043733543400, 0.5: 0.296152254885}
"""ε → g(η*)."""
MULTIPLIERS = {
    0.01: (1.990168937, 1.294607846),
    0.1: (8.395400642, 2.975252001),
    0.5: (19.673939597, 26.693733988),
}
"""ε → λ of mean and of standard deviation, for bounds of 1e-3 and 1e-4 nats."""


class Step(NamedTuple):
    """temperature: η*. multipliers: λ of mean and of std. mean, std: `[3]` of the policy after the M-step."""

    temperature: float
    multipliers: tuple[float, float]
    mean: np.ndarray
    std: np.ndarray


def q(action: np.ndarray) -> np.ndarray:
    """Q of actions `[..., 3]`, one a state."""
    return OFFSET - 0.5 * CURVATURE * (action - BEST) ** 2


def step(epsilon: float) -> Step:
    """Both steps, by roots of the KLs."""
    eta = _binding(lambda eta: _kl(*_reweighted(eta)), epsilon)
    mean, std = _reweighted(eta)
    moment = std**2 + (mean - MEAN) ** 2
    between = lambda new, old, multiplier: (new + multiplier * old) / (1.0 + multiplier)
    moved = lambda x: np.mean((between(mean, MEAN, x) - MEAN) ** 2 / (2.0 * STD**2))
    width = lambda x: np.sqrt(between(moment, STD**2, x))
    widened = lambda x: np.mean(np.log(width(x) / STD) + STD**2 / (2.0 * width(x) ** 2) - 0.5)
    one, other = _binding(moved, BOUND_MEAN), _binding(widened, BOUND_STD)
    return Step(eta, (one, other), between(mean, MEAN, one), width(other))


def _binding(kl: Callable[[float], float], bound: float) -> float:
    """The η or λ at which a KL, which falls with it, is its bound."""
    return float(np.exp(brentq(lambda x: kl(np.exp(x)) - bound, -8.0, 8.0, xtol=1e-14)))


def _reweighted(eta: float) -> tuple[np.ndarray, np.ndarray]:
    """Mean and std of N(μ̄, σ̄²) e^{Q/η} / Z."""
    precision = STD**-2 + CURVATURE / eta
    return (MEAN / STD**2 + CURVATURE * BEST / eta) / precision, precision**-0.5


def _kl(mean: np.ndarray, std: np.ndarray) -> float:
    return float(np.mean(np.log(STD / std) + (std**2 + (mean - MEAN) ** 2) / (2.0 * STD**2) - 0.5))
