"""Composed skills and robust rewards: what a maximum-entropy policy guarantees beyond the task it was solved for."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from softrl import soft
from softrl.inference import checks, implicit
from softrl.inference import mdp as model
from softrl.inference.mdp import TabularMDP


class CompositionBound(NamedTuple):
    """Q_Σ ≥ Q*_C ≥ Q_Σ − C and Q^{π_Σ} ≥ Q*_C − D, entry by entry, for the reward r_C = Σ w_k r_k.

    q: `[S, A]`, Q_Σ = Σ w_k Q_k. log_policy: `[S, A]`, π_Σ. value_gap, policy_gap: `[S, A]`, C and D, reward units.
    """

    q: jax.Array
    log_policy: jax.Array
    value_gap: jax.Array
    policy_gap: jax.Array


def composition_bound(
    mdp: TabularMDP,
    qs: jax.Array,
    *,
    gamma: jax.Array | float,
    temperature: jax.Array | float = 1.0,
    weights: jax.Array | None = None,
) -> CompositionBound:
    """How far an average of solved tasks may be from the solution of their average.

    C(s,a) = γ E_s′[ δ(s′) + max_a′ C(s′,a′) ],  δ(s) = −α log Σ_a Π_k π_k(a|s)^{w_k}, half the Rényi-½ divergence
    (times α) for two equal tasks;  D(s,a) = γ E_s′ E_{a′~π_Σ}[ C(s′,a′) + D(s′,a′) ].

    Args:
      mdp: the dynamics and the prior that the tasks share; its reward is not used.
      qs: `[K, S, A]`, optimal soft Q of each task at this γ, α and prior.
      gamma: γ in [0, 1). weights: `[K]`, w, not negative, sum 1; None: 1/K each.
    Source: Haarnoja et al. 2018, arXiv:1803.06773, Lemma 1 and Theorem 1, with α, a prior and K tasks.
    """
    checks.between("gamma", gamma, 0.0, 1.0, closed=False)
    checks.positive("temperature", temperature)
    mdp = model.validate(mdp._replace(reward=np.zeros(np.shape(mdp.transition)[:2])))
    checks.rank("qs", qs, 3, "[K, S, A] with at least one task, state and action")
    count = np.shape(qs)[0]
    checks.finite("qs", qs, (count, mdp.num_states, mdp.num_actions), "[K, S, A]")
    weights = np.full(count, 1 / count) if weights is None else weights
    checks.distribution("weights", weights, (count,), "[K]")
    transition, qs, weights = checks.floating(mdp.transition, qs, weights)
    gamma, temperature = jnp.asarray(gamma, qs.dtype), jnp.asarray(temperature, qs.dtype)
    return _bound(mdp._replace(transition=transition), qs, weights, gamma, temperature)


def worst_case_reward(
    reward: jax.Array,
    log_policy: jax.Array,
    *,
    temperature: jax.Array | float = 1.0,
    log_prior: jax.Array | None = None,
) -> jax.Array:
    """The reward that an adversary would choose, r̃ = r − α log π/p.

    E_π r − α KL(π ‖ p) = min_{r̃ ∈ 𝓡} E_π r̃,  𝓡 = { r̃ : α log Σ_a p(a|s) exp((r − r̃)/α) ≤ 0 },
    so that the maximum-entropy objective is a guarantee over all rewards of 𝓡.

    Args:
      reward, log_policy: `[..., A]`. temperature: α > 0. log_prior: `[..., A]`; None is the counting measure.
    Returns:
      `[..., A]`; +inf where the policy never acts (there the adversary gives up nothing).
    Source: Eysenbach and Levine 2022, arXiv:2103.06257, Theorem 4.1's reward part.
    """
    checks.positive("temperature", temperature)
    checks.finite("reward", reward)
    checks.log_policy("log_policy", log_policy, np.shape(reward), "[..., A], the shape of reward,")
    if log_prior is not None:
        checks.log_prior("log_prior", log_prior, np.shape(reward), "[..., A], the shape of reward,")
    reward, log_policy, log_prior = checks.floating(reward, log_policy, log_prior)
    log_prior = jnp.zeros_like(reward) if log_prior is None else log_prior
    taken = log_policy > -jnp.inf
    worst = soft.sampled_value(reward, jnp.where(taken, log_policy, 0.0), temperature, jnp.where(taken, log_prior, 0.0))
    return jnp.where(taken, worst, jnp.inf)


@jax.jit
def _bound(
    mdp: TabularMDP, qs: jax.Array, weights: jax.Array, gamma: jax.Array, temperature: jax.Array
) -> CompositionBound:
    values = jax.vmap(lambda q: soft.value(q, temperature, mdp.log_prior))(qs)
    q = jnp.einsum("k,ksa->sa", weights, qs, precision=jax.lax.Precision.HIGHEST)
    divergence = weights @ values - soft.value(q, temperature, mdp.log_prior)  # δ, by the definition of each π_k
    start, tol = jnp.zeros_like(divergence), jnp.zeros((), divergence.dtype)
    # The maximum over actions of C, from which C itself is one backup.
    greatest, _ = implicit.newton(_residual, _slope, (mdp, divergence, gamma), start, tol=tol, max_iterations=100)
    value_gap = gamma * soft.expectation(divergence + greatest, mdp.transition)
    log_policy = soft.log_policy(q, temperature, mdp.log_prior)
    policy = jnp.exp(log_policy)
    stay = gamma * jnp.einsum("sa,sax->sx", policy, mdp.transition, precision=jax.lax.Precision.HIGHEST)
    ahead = jnp.linalg.solve(jnp.eye(stay.shape[0], dtype=stay.dtype) - stay, jnp.sum(policy * value_gap, axis=-1))
    return CompositionBound(q, log_policy, value_gap, gamma * soft.expectation(ahead, mdp.transition))


def _available(params: tuple, greatest: jax.Array) -> jax.Array:
    mdp, divergence, gamma = params
    gap = gamma * soft.expectation(divergence + greatest, mdp.transition)
    return gap if mdp.log_prior is None else jnp.where(mdp.log_prior > -jnp.inf, gap, -jnp.inf)


def _residual(params: tuple, greatest: jax.Array) -> jax.Array:
    return jnp.max(_available(params, greatest), axis=-1) - greatest


def _slope(params: tuple, greatest: jax.Array) -> jax.Array:
    mdp, _, gamma = params
    best = jnp.argmax(_available(params, greatest), axis=-1)
    rows = jnp.take_along_axis(mdp.transition, best[:, None, None], axis=1)[:, 0]
    return gamma * rows - jnp.eye(greatest.size, dtype=greatest.dtype)
