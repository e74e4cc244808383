"""One gradient step of all that learns: critics, the E-step's temperature, the policy (M-step) and its multipliers.

Expectation–maximisation about an old policy, the copy of the policy that is renewed after every `target_period` updates
(Levine 2018, §5.2; Abdolmaleki et al. 2018, arXiv:1806.06920 and 1812.02256). The critics value the old policy: their
target is y = Σ_{i<m} γⁱ rᵢ + γᵐ (1/M) Σ_j Q̄(s_m, ã_j), ã_j from the old policy. No entropy is in that return, so over a
window of m steps nothing is left out that on-policy rewards would have; that the window's actions were an older
policy's is not corrected, as in published implementations. Actions are improved at s, since a successor may be one at
which no action will ever be taken.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from softrl import losses, running_statistics, soft
from softrl.agents.critics import reduced, regress
from softrl.agents.descent import Trained, descend
from softrl.agents.mpo import e_step, m_step
from softrl.agents.mpo.config import MPOHypers
from softrl.agents.mpo.m_step import Decoupled
from softrl.agents.mpo.state import MPOInfo, MPOState, Parts, Targets
from softrl.agents.observations import joined
from softrl.algorithm import Feedback
from softrl.clock import Clock
from softrl.distributions import tanh_gaussian
from softrl.distributions.tanh_gaussian import TanhGaussian
from softrl.types import Batch, PyTree

LEAST_TEMPERATURE = 1e-8
"""η stops here: where the critics see no difference between actions it would fall for ever, and not come back."""

LEAST_MULTIPLIER = 1e-3
"""λ stops here: a thousandth of the likelihood's weight holds nothing, and is soon a thousand times as much."""

MOST_MULTIPLIER = 1e6
"""λ stops here: where steps are too long for a bound, no λ makes them shorter."""


class Valued(NamedTuple):
    """M actions of the old policy at each of B states.

    actor, critic: `[B, ...]` what the networks see of the states. old: `[B, A]` leaves. pre_tanh: `[M, B, A]`. q:
    `[M, B]` by the target critics, reduced.
    """

    actor: jax.Array
    critic: jax.Array
    old: TanhGaussian
    pre_tanh: jax.Array
    q: jax.Array


def update(
    parts: Parts, state: MPOState, batch: Batch, hypers: MPOHypers, key: jax.Array, clock: Clock
) -> tuple[MPOState, Feedback, MPOInfo]:
    """One gradient step of every network; then, where it is due, the copies.

    Args: `batch`: `[B, ...]` as replay gives it; `hypers`: `[]` leaves; `key`: of this step; `clock`: for the copies.
    """
    noise, noise_next = jax.random.normal(key, (2, parts.config.action_draws, *batch.action.shape))
    now = _valued(parts, state, batch.obs, noise)
    after = _valued(parts, state, batch.next_obs, noise_next)
    target = soft.backup(hypers.reward_scale * batch.reward, batch.discount, jnp.mean(after.q, axis=0))
    critic, critic_loss, td_error, critic_norm, critic_finite = regress(
        parts.critic, state.critic, now.critic, batch.action, target, batch.weight, hypers
    )
    temperature, temperature_finite = _update_temperature(state, now.q, batch.weight, hypers)
    weights = e_step.weights(now.q, jnp.exp(state.temperature.params))
    policy, policy_loss, kls, policy_norm, policy_finite = _update_policy(parts, state, now, weights, batch, hypers)
    multipliers, multipliers_finite = _update_multipliers(state, kls, hypers)
    due = clock.update.mod(parts.config.target_period) == parts.config.target_period - 1
    latest = Targets(policy.params, critic.params)
    copies = jax.tree.map(lambda new, old: jnp.where(due, new, old), latest, state.target)
    info = _info(state, now, weights, kls, batch.weight, critic_loss, policy_loss, critic_norm, policy_norm)
    finite = critic_finite & temperature_finite & policy_finite & multipliers_finite
    state = MPOState(policy, critic, copies, temperature, multipliers, state.statistics)
    return state, Feedback(finite, jnp.mean(jnp.abs(td_error), axis=0)), info


def _info(
    state: MPOState, now: Valued, weights: jax.Array, kls: Decoupled, weight: jax.Array, *rest: jax.Array
) -> MPOInfo:
    """Of an update that began with `state`. rest: losses and gradient norms."""
    log_prob = tanh_gaussian.log_prob(jax.tree.map(lambda x: x[None], now.old), now.pre_tanh)
    gain = jnp.sum(weights * jnp.log(jnp.maximum(len(weights) * weights, 1e-30)), axis=0)
    multipliers = jax.tree.map(jnp.exp, state.multipliers.params)
    return MPOInfo(
        -losses.weighted_mean(jnp.mean(log_prob, axis=0), weight),
        jnp.exp(state.temperature.params),
        losses.weighted_mean(jnp.mean(now.q, axis=0), weight),
        losses.weighted_mean(gain, weight),
        *map(jnp.mean, kls),
        *map(jnp.mean, multipliers),
        *rest,
    )


def _valued(parts: Parts, state: MPOState, obs: PyTree, noise: jax.Array) -> Valued:
    """Args: `noise`: `[M, B, A]`, standard normal."""
    if parts.config.normalize_obs:
        obs = running_statistics.normalize(state.statistics, obs)
    actor, critic = joined(obs, parts.spec.actor_obs), joined(obs, parts.spec.critic_obs)
    old, _ = parts.policy.apply(state.target.policy, state.policy.batch_stats, actor)
    pre_tanh = old.mean[None] + jnp.exp(old.log_std)[None] * noise
    flat = lambda x: x.reshape(-1, x.shape[-1])
    rows = flat(jnp.broadcast_to(critic[None], (len(noise), *critic.shape))), flat(jnp.tanh(pre_tanh))
    q, _ = parts.critic.apply(state.target.critic, state.critic.batch_stats, *rows)
    return Valued(actor, critic, old, pre_tanh, reduced(parts.config.critic_reduction, q).reshape(noise.shape[:2]))


def _update_temperature(
    state: MPOState, q: jax.Array, weight: jax.Array, hypers: MPOHypers
) -> tuple[Trained, jax.Array]:
    def dual(log_eta):
        return e_step.temperature_dual(jnp.exp(log_eta), q, hypers.epsilon_weights, weight)

    value, grad = jax.value_and_grad(dual)(state.temperature.params)
    temperature, _, finite = descend(state.temperature, value, grad, (), hypers.temperature_lr, hypers)
    return _within(LEAST_TEMPERATURE, jnp.inf, temperature), finite


def _update_policy(parts: Parts, state: MPOState, now: Valued, weights: jax.Array, batch: Batch, hypers: MPOHypers):
    multipliers = jax.tree.map(jnp.exp, state.multipliers.params)

    def loss(params):
        new, batch_stats = parts.policy.apply(params, state.policy.batch_stats, now.actor, train=True)
        total, kls = m_step.policy_loss(new, now.old, now.pre_tanh, weights, multipliers, batch.weight)
        return total, (kls, batch_stats)

    (total, (kls, batch_stats)), grads = jax.value_and_grad(loss, has_aux=True)(state.policy.params)
    policy, norm, finite = descend(state.policy, total, grads, batch_stats, hypers.policy_lr, hypers)
    return policy, total, kls, norm, finite


def _update_multipliers(state: MPOState, kls: Decoupled, hypers: MPOHypers) -> tuple[Trained, jax.Array]:
    bounds = Decoupled(hypers.epsilon_mean, hypers.epsilon_std)
    dual, grads = jax.value_and_grad(m_step.multiplier_loss)(state.multipliers.params, kls, bounds)
    multipliers, _, finite = descend(state.multipliers, dual, grads, (), hypers.multiplier_lr, hypers)
    return _within(LEAST_MULTIPLIER, MOST_MULTIPLIER, multipliers), finite


def _within(least: float, most: float, net: Trained) -> Trained:
    """Positive numbers by their logarithms, kept between two bounds."""
    return net._replace(params=jax.tree.map(lambda log: jnp.clip(log, jnp.log(least), jnp.log(most)), net.params))
