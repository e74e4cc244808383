"""One gradient step, in the order critics, value, policy, temperature, targets.

With `value_network` it is the message passing of Levine 2018 §4.2 and Haarnoja et al. 2018a (arXiv:1801.01290): V is a
network of its own and the critics' target is r + γ V̄(s′). Without it, Haarnoja et al. 2018b (arXiv:1812.05905): V is a
one-sample estimate from twin target critics.
"""

from functools import partial, reduce
from typing import NamedTuple

import jax
import jax.numpy as jnp

from softrl import losses, running_statistics, soft
from softrl.agents.descent import descend
from softrl.agents.observations import joined
from softrl.agents.sac.config import SACHypers
from softrl.agents.sac.state import Parts, SACInfo, SACState
from softrl.algorithm import Feedback
from softrl.clock import Clock
from softrl.distributions import tanh_gaussian
from softrl.types import Batch


def update(
    parts: Parts, state: SACState, batch: Batch, hypers: SACHypers, key: jax.Array, clock: Clock
) -> tuple[SACState, Feedback, SACInfo]:
    """One gradient step of every network.

    Args: `batch`: `[B, ...]` as replay gives it; `hypers`: `[]` leaves; `key`: of this step; `clock`: for the delay.
    """
    batch = _prepared(parts, state, batch, hypers)
    noise_next, noise = jax.random.normal(key, (2, *batch.action.shape))
    critic, critic_loss, td_error, critic_norm, finite = _update_critic(parts, state, batch, hypers, noise_next)
    state = state._replace(critic=critic)
    value_loss = jnp.float32(0.0)
    if parts.config.value_network:
        value, value_loss, value_finite = _update_value(parts, state, batch, hypers, noise)
        state, finite = state._replace(value=value), finite & value_finite
    improve = partial(_update_policy, parts, batch=batch, hypers=hypers, noise=noise)
    if parts.config.policy_delay == 1:
        state, improved = improve(state)
    else:
        due = clock.update.mod(parts.config.policy_delay) == 0
        skipped = (*(jnp.float32(jnp.nan),) * 4, jnp.bool_(True))
        state, improved = jax.lax.cond(due, improve, lambda s: (s, skipped), state)
    policy_loss, entropy, q, policy_norm, policy_finite = improved
    source = state.value.params if parts.config.value_network else state.critic.params
    state = state._replace(target=jax.tree.map(lambda t, p: t + hypers.tau * (p - t), state.target, source))
    temperature = jnp.exp(state.temperature.params)
    info = SACInfo(critic_loss, value_loss, policy_loss, temperature, entropy, q, critic_norm, policy_norm)
    return state, Feedback(finite & policy_finite, jnp.mean(jnp.abs(td_error), axis=0)), info


class Prepared(NamedTuple):
    """A batch as the losses see it: normalised, selected, rewards scaled."""

    actor_obs: jax.Array
    critic_obs: jax.Array
    action: jax.Array
    reward: jax.Array
    discount: jax.Array
    next_actor_obs: jax.Array
    next_critic_obs: jax.Array
    weight: jax.Array


def _prepared(parts: Parts, state: SACState, batch: Batch, hypers: SACHypers) -> Prepared:
    obs, next_obs = batch.obs, batch.next_obs
    if parts.config.normalize_obs:
        obs, next_obs = (running_statistics.normalize(state.statistics, o) for o in (obs, next_obs))
    actor, critic = parts.spec.actor_obs, parts.spec.critic_obs
    return Prepared(
        actor_obs=joined(obs, actor),
        critic_obs=joined(obs, critic),
        action=batch.action,
        reward=hypers.reward_scale * batch.reward,
        discount=batch.discount,
        next_actor_obs=joined(next_obs, actor),
        next_critic_obs=joined(next_obs, critic),
        weight=batch.weight,
    )


def _update_critic(parts: Parts, state: SACState, batch: Prepared, hypers: SACHypers, noise: jax.Array):
    if parts.config.value_network:
        next_value, _ = parts.value.apply(state.target, state.value.batch_stats, batch.next_critic_obs)
    else:
        dist, _ = parts.policy.apply(state.policy.params, state.policy.batch_stats, batch.next_actor_obs)
        next_action, log_prob = tanh_gaussian.transform(noise, dist)
        next_q, _ = parts.critic.apply(state.target, state.critic.batch_stats, batch.next_critic_obs, next_action)
        next_value = soft.sampled_value(
            _reduced(parts, next_q),
            log_prob,
            jnp.exp(state.temperature.params),
            parts.log_prior(batch.next_actor_obs, next_action),
        )
    target = soft.backup(batch.reward, batch.discount, next_value)

    def loss(params):
        q, batch_stats = parts.critic.apply(
            params, state.critic.batch_stats, batch.critic_obs, batch.action, train=True
        )
        total, td_error = losses.critic(q, target, batch.weight)
        return total, (td_error, batch_stats)

    (total, (td_error, batch_stats)), grads = jax.value_and_grad(loss, has_aux=True)(state.critic.params)
    critic, norm, finite = descend(state.critic, total, grads, batch_stats, hypers.critic_lr, hypers)
    return critic, total, td_error, norm, finite


def _update_value(parts: Parts, state: SACState, batch: Prepared, hypers: SACHypers, noise: jax.Array):
    dist, _ = parts.policy.apply(state.policy.params, state.policy.batch_stats, batch.actor_obs)
    action, log_prob = tanh_gaussian.transform(noise, dist)
    q, _ = parts.critic.apply(state.critic.params, state.critic.batch_stats, batch.critic_obs, action)
    prior = parts.log_prior(batch.actor_obs, action)
    target = soft.sampled_value(_reduced(parts, q), log_prob, jnp.exp(state.temperature.params), prior)

    def loss(params):
        v, batch_stats = parts.value.apply(params, state.value.batch_stats, batch.critic_obs, train=True)
        return losses.value(v, target, batch.weight), batch_stats

    (total, batch_stats), grads = jax.value_and_grad(loss, has_aux=True)(state.value.params)
    value, _, finite = descend(state.value, total, grads, batch_stats, hypers.critic_lr, hypers)
    return value, total, finite


def _update_policy(parts: Parts, state: SACState, batch: Prepared, hypers: SACHypers, noise: jax.Array):
    def loss(params):
        dist, batch_stats = parts.policy.apply(params, state.policy.batch_stats, batch.actor_obs, train=True)
        action, log_prob = tanh_gaussian.transform(noise, dist)
        q, _ = parts.critic.apply(state.critic.params, state.critic.batch_stats, batch.critic_obs, action)
        q, prior = _reduced(parts, q), parts.log_prior(batch.actor_obs, action)
        total = losses.policy(q, log_prob, batch.weight, temperature=alpha, log_prior=prior)
        return total, (log_prob, log_prob - prior, q, batch_stats)

    alpha = jnp.exp(state.temperature.params)
    (total, (log_prob, log_ratio, q, batch_stats)), grads = jax.value_and_grad(loss, has_aux=True)(state.policy.params)
    policy, norm, finite = descend(state.policy, total, grads, batch_stats, hypers.policy_lr, hypers)
    state = state._replace(policy=policy)
    if parts.config.auto_temperature:
        # The target is given as an entropy; relative to a prior both sides move by the uniform density's constant.
        target = hypers.target_entropy + parts.base
        dual, grad = jax.value_and_grad(losses.temperature)(
            state.temperature.params, log_ratio, batch.weight, target_entropy=target
        )
        temperature, _, _ = descend(state.temperature, dual, grad, (), hypers.temperature_lr, hypers)
        state = state._replace(temperature=temperature)
    return state, (total, -jnp.mean(log_prob), jnp.mean(q), norm, finite)


def _reduced(parts: Parts, q: jax.Array) -> jax.Array:
    # Pairwise, since the gradient of jnp.min divides by the number of critics that equal the minimum, and that is none
    # where XLA computes q twice and rounds it differently (seen on CPUs under vmap).
    return reduce(jnp.minimum, q) if parts.config.critic_reduction == "min" else jnp.mean(q, axis=0)
