"""A chain of two states and an end, and the maximum-entropy controller of any table by iteration, in NumPy."""

import numpy as np
from scipy.optimize import brentq
from scipy.special import logsumexp

from softrl.inference import TabularMDP

END = 2
GAMMA = 0.9
TRANSITION = np.zeros((3, 3, 3))
TRANSITION[0] = [[0.9, 0.1, 0.0], [0.2, 0.7, 0.1], [0.3, 0.3, 0.4]]
TRANSITION[1] = [[0.5, 0.5, 0.0], [0.1, 0.5, 0.4], [0.0, 0.2, 0.8]]
TRANSITION[END, :, END] = 1.0
REWARD = np.array([[0.0, -0.2, -0.5], [0.3, 0.0, -0.1], [0.0, 0.0, 0.0]])


def mdp() -> TabularMDP:
    """The chain, beginning in either state."""
    return TabularMDP(TRANSITION, REWARD, np.array([0.5, 0.5, 0.0]))


def solve(transition, reward, final, alpha: float, gamma: float = GAMMA, *, optimistic: bool = False, log_prior=0.0):
    """Q `[S, A]`, V `[S]` and π `[S, A]` of soft value iteration; `final` states are worth 0."""
    value, log_prior = np.zeros(len(reward)), np.broadcast_to(log_prior, reward.shape)
    for _ in range(20_000):
        if optimistic:
            ahead = gamma * alpha * np.log(np.einsum("sax,x->sa", transition, np.exp(value / alpha)))
        else:
            ahead = gamma * transition @ value
        q = reward + ahead
        new = alpha * logsumexp(q / alpha + log_prior, axis=1) * ~final
        if np.abs(new - value).max() < 1e-14:
            break
        value = new
    logits = q / alpha + log_prior
    return q, value, np.exp(logits - logsumexp(logits, axis=1, keepdims=True))


def temperature_of(entropy: float) -> float:
    """α at which the chain's optimal policy has this entropy, its two states weighed alike."""
    final = np.arange(3) == END

    def excess(log_alpha: float) -> float:
        policy = solve(TRANSITION, REWARD, final, np.exp(log_alpha))[2][:END]
        return -np.sum(policy * np.log(policy), axis=1).mean() - entropy

    return float(np.exp(brentq(excess, -4.0, 1.0, xtol=1e-12)))
