"""A bandit with two good actions and its Boltzmann policy: Q(a) on (−1, 1), α = 0.2.

All by quadrature in double precision (adaptive and 2000-node Gauss-Legendre, which agree to 1e-12).
"""

import numpy as np

TEMPERATURE = 0.2
VALUE = -0.326619101531
"""V = α log ∫ exp(Q/α) da."""
LEFT = 0.266846825590
"""The probability of a < 0, where the lower mode is."""
BEST_GAUSSIAN = -0.3957138595
"""E[Q] + α H of the best tanh-Gaussian, which can have one mode only."""
ONE_DRAW, TWO_DRAWS = (-0.837073375742, -0.742975423572), (-0.568394935530, -0.508029869473)
"""Expected importance estimates of V from so many draws, uniform ones and those of tanh(N(0.2, 0.8²))."""

GRID, WEIGHTS = np.polynomial.legendre.leggauss(2000)


def q(action, of=np):
    """Q(a). Args: `of`: NumPy or jax.numpy."""
    right = 0.6 * of.exp(-0.5 * ((action - 0.6) / 0.15) ** 2)
    left = 0.4 * of.exp(-0.5 * ((action + 0.5) / 0.1) ** 2)
    return 0.3 * of.log(right + left + 1e-3)


def soft_value(values: np.ndarray) -> float:
    """α log ∫ exp(Q/α) da of a Q given on GRID."""
    top = values.max()
    return float(top + TEMPERATURE * np.log(WEIGHTS @ np.exp((values - top) / TEMPERATURE)))
