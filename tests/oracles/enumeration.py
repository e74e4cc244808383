"""Every trajectory of a small decision process, one by one, in numpy: no message, no Bellman equation, no jax."""

import itertools
from typing import NamedTuple

import numpy as np
from scipy.special import logsumexp


class Trajectories(NamedTuple):
    """All (S A)^T trajectories: `states`, `actions` `[N, T]`; `log_dynamics`, `log_prior`, `reward` `[N]`."""

    states: np.ndarray
    actions: np.ndarray
    log_dynamics: np.ndarray
    log_prior: np.ndarray
    reward: np.ndarray


def trajectories(mdp, horizon: int) -> Trajectories:
    """Enumerate them; `mdp` is anything with the fields of a TabularMDP."""
    transition, initial = np.asarray(mdp.transition, float), np.asarray(mdp.initial, float)
    num_states, num_actions = transition.shape[:2]
    reward = np.broadcast_to(np.asarray(mdp.reward, float), (horizon, num_states, num_actions))
    prior = np.zeros((num_states, num_actions)) if mdp.log_prior is None else np.asarray(mdp.log_prior, float)
    steps = list(itertools.product(range(num_states), range(num_actions)))
    paths = np.array(list(itertools.product(steps, repeat=horizon)))
    states, actions = paths[..., 0], paths[..., 1]
    with np.errstate(divide="ignore"):
        log_initial, log_transition = np.log(initial), np.log(transition)
    log_dynamics = log_initial[states[:, 0]]
    for t in range(horizon - 1):
        log_dynamics = log_dynamics + log_transition[states[:, t], actions[:, t], states[:, t + 1]]
    total = sum(reward[t, states[:, t], actions[:, t]] for t in range(horizon))
    return Trajectories(states, actions, log_dynamics, prior[states, actions].sum(-1), total)


def log_evidence(paths: Trajectories, temperature: float) -> float:
    """log Σ_τ p(τ) exp(Σ r/α)."""
    return float(logsumexp(_log_joint(paths, temperature)))


def posterior_weights(paths: Trajectories, temperature: float) -> np.ndarray:
    """p(τ | O), `[N]`."""
    joint = _log_joint(paths, temperature)
    return np.exp(joint - logsumexp(joint))


def tabulate(paths: Trajectories, weights: np.ndarray, num_states: int, num_actions: int) -> tuple:
    """Marginals `[T, S, A]`, policy `[T, S, A]`, dynamics `[T − 1, S, A, S]`; NaN where never visited."""
    horizon = paths.states.shape[1]
    joint = np.zeros((horizon, num_states, num_actions))
    pairs = np.zeros((horizon - 1, num_states, num_actions, num_states))
    for t in range(horizon):
        np.add.at(joint[t], (paths.states[:, t], paths.actions[:, t]), weights)
        if t + 1 < horizon:
            np.add.at(pairs[t], (paths.states[:, t], paths.actions[:, t], paths.states[:, t + 1]), weights)
    with np.errstate(invalid="ignore", divide="ignore"):
        return joint, joint / joint.sum(-1, keepdims=True), pairs / pairs.sum(-1, keepdims=True)


def log_policy_of_paths(paths: Trajectories, log_policy: np.ndarray) -> np.ndarray:
    """Σ_t log π_t(a_t|s_t), `[N]`, for a policy `[T, S, A]`."""
    times = np.arange(paths.states.shape[1])
    return np.asarray(log_policy)[times, paths.states, paths.actions].sum(-1)


def elbo(paths: Trajectories, log_policy: np.ndarray, temperature: float) -> float:
    """E_q [ Σ r/α + log prior − log π ], q = p(s₁) Π π P."""
    log_q = log_policy_of_paths(paths, log_policy)
    q = np.exp(paths.log_dynamics + log_q)
    taken = q > 0
    return float(q[taken] @ (paths.reward[taken] / temperature + paths.log_prior[taken] - log_q[taken]))


def kl_to_posterior(paths: Trajectories, log_policy: np.ndarray, temperature: float) -> float:
    """KL(q ‖ p(τ|O)) summed over trajectories."""
    log_q = paths.log_dynamics + log_policy_of_paths(paths, log_policy)
    log_p = _log_joint(paths, temperature) - log_evidence(paths, temperature)
    taken = log_q > -np.inf
    return float(np.sum(np.exp(log_q[taken]) * (log_q[taken] - log_p[taken])))


def filtered(paths: Trajectories, reward: np.ndarray, prior: np.ndarray, time: int, temperature: float) -> np.ndarray:
    """p(s_t | O_{1:t−1}) by conditioning on the first rewards only; `reward` `[T, S, A]`, `prior` `[S, A]` logs."""
    past = sum(
        (
            reward[k, paths.states[:, k], paths.actions[:, k]] / temperature
            + prior[paths.states[:, k], paths.actions[:, k]]
            for k in range(time)
        ),
        np.zeros(len(paths.reward)),
    )
    # Later steps are free: uniform actions sum to one, so the counting of later trajectories cancels.
    weights = np.exp(paths.log_dynamics + past - logsumexp(paths.log_dynamics + past))
    return np.bincount(paths.states[:, time], weights, minlength=reward.shape[1])


def _log_joint(paths: Trajectories, temperature: float) -> np.ndarray:
    return paths.log_dynamics + paths.log_prior + paths.reward / temperature
