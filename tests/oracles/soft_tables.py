"""Two tables and their soft-optimal values, Q = r + γ P V, V(s) = α log Σ_a exp(Q(s,a)/α) of states that do not end."""

from typing import NamedTuple

import numpy as np


class Table(NamedTuple):
    """transition: `[S, A, S]`. reward: `[S, A]`. live: `[S]`, 0 where a state ends the episode."""

    transition: np.ndarray
    reward: np.ndarray
    live: np.ndarray
    gamma: float
    temperature: float


def q_star(table: Table) -> np.ndarray:
    """`[S, A]`, by iteration to the last bit."""
    value = np.zeros(len(table.live))
    for _ in range(3000):
        q = table.reward + table.gamma * table.transition @ value
        value = table.temperature * np.log(np.exp(q / table.temperature).sum(1)) * table.live
    return q


RING = Table(
    np.array(
        [
            [[0.9, 0.05, 0.05], [0.1, 0.6, 0.3]],
            [[0.3, 0.6, 0.1], [0.05, 0.9, 0.05]],
            [[0.1, 0.1, 0.8], [0.0, 0.05, 0.95]],
        ]
    ),
    np.array([[-1.0, -0.5], [-3.0, -2.0], [-0.2, 0.0]]),
    np.ones(3),
    0.9,
    0.5,
)
"""Never ends; V = −7.204637548678, −10.691502509226, −2.834588305697."""
RING_VALUES = np.array([-7.204637548678384, -10.691502509226382, -2.8345883056971033])

CHAIN = Table(
    np.array(
        [
            [[0.9, 0.1, 0.0], [0.2, 0.7, 0.1], [0.3, 0.3, 0.4]],
            [[0.5, 0.5, 0.0], [0.1, 0.5, 0.4], [0.0, 0.2, 0.8]],
            [[0.0, 0.0, 1.0]] * 3,
        ]
    ),
    np.array([[0.0, -0.2, -0.5], [0.3, 0.0, -0.1], [0.0, 0.0, 0.0]]),
    np.array([1.0, 1.0, 0.0]),
    0.9,
    0.3,
)
"""Ends in state 2; V = 1.599273317551, 1.884894404550."""
CHAIN_VALUES = np.array([1.599273317551045, 1.884894404550244])
