"""Relatives by expectation-maximisation: policies re-weighted by exponentiated reward or advantage."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from softrl import soft
from softrl.inference import checks, implicit
from softrl.inference.log_matrix import log_or_minus_infinity, log_ratio

BISECTIONS = 64


class EStep(NamedTuple):
    """temperature: `[]`, η*. log_policy: `[..., A]`, log of q e^{A/η} / Σ. kl: `[]`, mean KL(π ‖ q), ε where it binds.

    dual: `[]`, g(η*), the greatest mean of π · A under the constraint.
    """

    temperature: jax.Array
    log_policy: jax.Array
    kl: jax.Array
    dual: jax.Array


def rwr_weights(rewards: jax.Array, *, temperature: jax.Array | float | None = None) -> jax.Array:
    """Weights of samples for a maximum-likelihood fit, normalised over the last axis.

    w ∝ R (expectation-maximisation with the reward as an improper likelihood), or w ∝ exp(R/η) with a temperature.

    Args:
      rewards: `[..., N]`; not negative, and somewhere positive, without a temperature.
      temperature: η > 0, in reward units, or None.
    Source: Peters and Schaal 2007 (reward-weighted regression); Levine 2018, §5.2.
    """
    return jnp.exp(jax.nn.log_softmax(_log_likelihood(rewards, temperature), axis=-1))


def em_policy_step(
    log_policy: jax.Array, rewards: jax.Array, *, temperature: jax.Array | float | None = None
) -> jax.Array:
    """One exact step of expectation-maximisation on a table, π ← π R / Σ π R (or π e^{R/η} / Σ).

    Without a temperature the expected reward never falls. Args: log_policy, rewards: `[..., A]`; as in `rwr_weights`.
    Returns: `[..., A]`, log probabilities.
    Source: Dayan and Hinton 1997; Levine 2018, §5.2.
    """
    checks.shape("rewards", rewards, np.shape(log_policy), "[..., A], the shape of log_policy,")
    checks.log_policy("log_policy", log_policy)
    return jax.nn.log_softmax(jnp.asarray(log_policy) + _log_likelihood(rewards, temperature), axis=-1)


def reps_dual(
    temperature: jax.Array | float, advantage: jax.Array, log_policy: jax.Array, *, epsilon: jax.Array | float
) -> jax.Array:
    """g(η) = η ε + η E_s log Σ_a q(a|s) exp(A(s,a)/η); its minimum is max_π E π·A subject to E_s KL(π ‖ q) ≤ ε.

    Args:
      temperature: η > 0. advantage, log_policy: `[..., A]`, the mean is over the leading axes. epsilon: ε > 0, nats.
    Returns: `[]`, in units of the advantage.
    Source: Peters, Mülling and Altun 2010 (REPS); Abdolmaleki et al. 2018, arXiv:1806.06920, Eq 9 (MPO).
    """
    advantage, log_policy, epsilon = _validate_e_step(advantage, log_policy, epsilon)
    return _dual(*checks.positives(advantage.dtype, temperature=temperature), advantage, log_policy, epsilon)


def mpo_e_step(advantage: jax.Array, log_policy: jax.Array, *, epsilon: jax.Array | float) -> EStep:
    """The policy of greatest advantage within KL ε of the old one: π ∝ q exp(A/η*), η* = argmin `reps_dual`.

    Where even the greedy policy is within ε the constraint is slack; η* is then 1e-4 (float64: 1e-6) of the spread.
    Args: advantage, log_policy: `[..., A]`, q = exp(log_policy). epsilon: ε > 0, nats, on the mean over leading axes.
    Source: as in `reps_dual`. Implicit gradients in all three.
    """
    return _e_step(*_validate_e_step(advantage, log_policy, epsilon))


def _log_likelihood(rewards: jax.Array, temperature: jax.Array | float | None) -> jax.Array:
    checks.finite("rewards", rewards)
    (rewards,) = checks.floating(rewards)
    if temperature is not None:
        checks.positive("temperature", temperature)
        return rewards / temperature
    values = checks.known(rewards)
    if values is not None and ((values < 0).any() or not (values > 0).any(-1).all()):
        checks.fail("rewards", rewards, "no negative and some positive reward (or give a temperature)")
    return log_or_minus_infinity(rewards)


def _dual(eta: jax.Array, advantage: jax.Array, log_policy: jax.Array, epsilon: jax.Array) -> jax.Array:
    return eta * epsilon + jnp.mean(soft.value(advantage, eta, log_policy))


@jax.jit
def _e_step(advantage: jax.Array, log_policy: jax.Array, epsilon: jax.Array) -> EStep:
    x, _ = implicit.root(_bisect, _excess, jax.jacobian(_excess, 1), (advantage, log_policy, epsilon))
    eta = jnp.exp(x[0])
    policy = soft.log_policy(advantage, eta, log_policy)
    return EStep(eta, policy, _mean_kl(policy, log_policy), _dual(eta, advantage, log_policy, epsilon))


def _bisect(params: tuple) -> tuple[jax.Array, tuple]:
    def halve(_: int, bracket: tuple) -> tuple:
        low, high = bracket
        middle = 0.5 * (low + high)
        too_far = _kl_at(params, middle) > params[2]
        return jnp.where(too_far, middle, low), jnp.where(too_far, high, middle)

    low, high = jax.lax.fori_loop(0, BISECTIONS, halve, _bracket(params))
    return 0.5 * (low + high)[None], ()


def _excess(params: tuple, x: jax.Array) -> jax.Array:
    """KL − ε at η = exp(x); where the constraint is slack x is a constant instead."""
    low, _ = _bracket(params)
    slack = _kl_at(params, low) <= params[2]
    return jnp.where(slack, x - low, _kl_at(params, x[0]) - params[2])


def _bracket(params: tuple) -> tuple[jax.Array, jax.Array]:
    advantage, log_policy, epsilon = params
    taken = log_policy > -jnp.inf
    top = jnp.max(advantage, axis=-1, where=taken, initial=-jnp.inf)
    bottom = jnp.min(advantage, axis=-1, where=taken, initial=jnp.inf)
    spread = jax.lax.stop_gradient(jnp.max(top - bottom))
    spread = jnp.where(spread > 0, spread, 1.0)
    least = 1e-6 if spread.dtype == jnp.float64 else 1e-4
    # Hoeffding: KL ≤ (spread/η)²/8, so that η = spread/√(8ε) keeps within ε.
    high = spread * jnp.maximum(1 / jnp.sqrt(8 * jax.lax.stop_gradient(epsilon)), 2 * least)
    return jnp.log(least * spread), jnp.log(high)


def _kl_at(params: tuple, log_eta: jax.Array) -> jax.Array:
    advantage, log_policy, _ = params
    return _mean_kl(soft.log_policy(advantage, jnp.exp(log_eta), log_policy), log_policy)


def _mean_kl(log_p: jax.Array, log_q: jax.Array) -> jax.Array:
    return jnp.mean(jnp.sum(jnp.exp(log_p) * log_ratio(log_p, log_q), axis=-1))


def _validate_e_step(advantage: jax.Array, log_policy: jax.Array, epsilon: jax.Array | float) -> tuple:
    checks.finite("advantage", advantage)
    checks.log_policy("log_policy", log_policy, np.shape(advantage), "[..., A], the shape of advantage,")
    advantage, log_policy = checks.floating(advantage, log_policy)
    return advantage, log_policy, *checks.positives(advantage.dtype, epsilon=epsilon)
