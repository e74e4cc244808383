"""One gradient step, in the order critics, value, policy, temperature, targets.

With `value_network` it is the message passing of Levine 2018 §4.2 and Haarnoja et al. 2018a (arXiv:1801.01290): V is a
network of its own and the critics' target is r + γ V̄(s′). Without it, Haarnoja et al. 2018b (arXiv:1812.05905): V comes
from twin target critics. What is expected over actions is one draw of continuous ones, and exact of discrete ones.
Over a window of m steps the target is y = Σ_{i<m} γⁱ rᵢ − α Σ_{0<i<m} γⁱ log π(ãᵢ|sᵢ) + γᵐ V(s_m): a soft value counts
the entropies of the steps in between. Rewards, values and α are in units of scaled reward.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from softrl import losses, soft
from softrl.agents import returns, schedule
from softrl.agents.critics import Regressed, reduced, regress
from softrl.agents.descent import Trained, descend
from softrl.agents.sac.config import SACHypers
from softrl.agents.sac.critic import Target
from softrl.agents.sac.init import reset
from softrl.agents.sac.prepared import Prepared, Seen, prepared
from softrl.agents.sac.state import Parts, SACInfo, SACState
from softrl.algorithm import Feedback
from softrl.clock import Clock
from softrl.layers import OVER_BATCH
from softrl.networks import unit_weights
from softrl.types import Batch, Network, PyTree


def update(
    parts: Parts, state: SACState, batch: Batch, hypers: SACHypers, key: jax.Array, clock: Clock
) -> tuple[SACState, Feedback, SACInfo]:
    """One gradient step of every network.

    Args: `batch`: `[B, ...]` as replay gives it; `hypers`: `[]` leaves; `key`: of this step; `clock`: for what happens
      now and then, and for rates that move.
    """
    config = parts.config
    hypers = schedule.moved(hypers, clock, "policy_lr", "critic_lr", "temperature_lr")
    divisor = returns.scale(state.returns, hypers.return_bound) if config.reward_scaling == "returns" else 1.0
    if config.reset_every:
        state = reset(parts, state, hypers, key, clock)
    if not config.auto_temperature:  # it may be changed on the way
        fixed = jnp.log(hypers.temperature / divisor)
        state = state._replace(temperature=state.temperature._replace(params=fixed))
    batch = prepared(parts, state, batch, hypers, divisor)
    between = batch.between_discount.shape[-1]
    noise_next, noise, *noise_between = parts.kind.noise(key, 2 + between, batch.action)
    if between:
        batch = batch._replace(reward=batch.reward + _value_of_entropies(parts, state, batch, noise_between))
    target = _target(parts, state, batch, hypers, noise_next)
    critic, critic_loss, td_error, critic_norm, finite = _update_critic(parts, state, batch, target, hypers, noise_next)
    state = state._replace(critic=critic)
    value_loss = jnp.float32(0.0)
    if config.value_network:
        value, value_loss, value_finite = _update_value(parts, state, batch, hypers, noise)
        state, finite = state._replace(value=value), finite & value_finite
    state, improved = _improve(parts, state, batch, hypers, noise, clock)
    if config.target_network:
        source = state.value.params if config.value_network else state.critic.params
        state = state._replace(target=jax.tree.map(lambda t, p: t + hypers.tau * (p - t), state.target, source))
    info = SACInfo(
        critic_loss=critic_loss,
        value_loss=value_loss,
        policy_loss=improved.loss,
        temperature=jnp.exp(state.temperature.params) * divisor,
        entropy=improved.entropy,
        q=improved.q * divisor,
        critic_grad_norm=critic_norm,
        policy_grad_norm=improved.grad_norm,
        outside=losses.weighted_mean(target.outside, batch.weight),
        reward_divisor=jnp.float32(divisor),
    )
    return state, Feedback(finite & improved.finite, jnp.mean(jnp.abs(td_error), axis=0)), info


def _beliefs(parts: Parts, critic: PyTree, batch_stats: PyTree, seen: Seen, action: jax.Array) -> jax.Array:
    return parts.kind.critic.apply(critic, batch_stats, seen.critic, action)[0]


def _log_ratio(parts: Parts, seen: Seen, action: jax.Array, log_prob: jax.Array) -> jax.Array:
    return log_prob - parts.log_prior(seen.given, action)


def _policy(parts: Parts, state: SACState, seen: Seen) -> Any:
    """The policy's distribution at `[B]` states, as it acts."""
    return parts.kind.policy.network.apply(state.policy.params, state.policy.batch_stats, seen.actor)[0]


class Valued(NamedTuple):
    """Of a policy's actions at B states, `[B]` each: the mean of the ensemble's belief, log π and log π/p; expected."""

    q: jax.Array
    log_prob: jax.Array
    log_ratio: jax.Array


def _valued(parts: Parts, state: SACState, dist: Any, seen: Seen, hypers: SACHypers, noise: Any) -> Valued:
    """What a policy's actions are worth to the critics."""

    def value(action: jax.Array, log_prob: jax.Array) -> Valued:
        beliefs = _beliefs(parts, state.critic.params, state.critic.batch_stats, seen, action)
        q = reduced(parts.config.critic_reduction, parts.belief.value(beliefs, hypers))
        return Valued(q, log_prob, _log_ratio(parts, seen, action, log_prob))

    return parts.kind.expected(value, dist, noise)


def _value_of_entropies(parts: Parts, state: SACState, batch: Prepared, noise: list[Any]) -> jax.Array:
    """Σ_{0<i<m} γⁱ E[−α log π(ãᵢ|sᵢ)/p(ãᵢ|sᵢ)] `[B]`: what a soft value earns between the ends of a window."""
    noise = jax.tree.map(lambda *steps: jnp.stack(steps, 1).reshape(-1, *steps[0].shape[1:]), *noise)
    ratio = partial(_log_ratio, parts, batch.between)
    expected = parts.kind.expected(ratio, _policy(parts, state, batch.between), noise)
    values = soft.sampled_value(0.0, expected, jnp.exp(state.temperature.params))
    return jnp.sum(batch.between_discount * values.reshape(batch.between_discount.shape), axis=-1)


def _target(parts: Parts, state: SACState, batch: Prepared, hypers: SACHypers, noise: Any) -> Target:
    """What the critics are drawn to."""
    if parts.config.value_network:
        next_value, _ = parts.value.apply(state.target, state.value.batch_stats, batch.next_obs.critic)
        return Target(soft.backup(batch.reward, batch.discount, next_value), jnp.zeros_like(batch.reward))
    params = state.target if parts.config.target_network else state.critic.params

    def target(action: jax.Array, log_prob: jax.Array) -> Target:
        if parts.config.norm in OVER_BATCH:
            _, beliefs, _ = _at_both_ends(parts, params, state.critic.batch_stats, batch, action)
        else:
            beliefs = _beliefs(parts, params, state.critic.batch_stats, batch.next_obs, action)
        ratio = _log_ratio(parts, batch.next_obs, action, log_prob)
        alpha = jnp.exp(state.temperature.params)
        return parts.belief.target(beliefs, ratio, batch.reward, batch.discount, alpha, hypers)

    return parts.kind.expected(target, _policy(parts, state, batch.next_obs), noise)


def _at_both_ends(
    parts: Parts, params: PyTree, batch_stats: PyTree, batch: Prepared, next_action: jax.Array
) -> tuple[jax.Array, jax.Array, PyTree]:
    """What critics that learn believe at (s, a) and at (s′, a′), and their batch statistics.

    In one pass, since what normalises by a batch must have seen the policy's actions beside those in replay. With norm
    renorm a target network is normalised by the critics' running statistics, since it has none of its own.

    Source: Bhatt et al. 2024, CrossQ, arXiv:1902.05605.
    """
    obs = jnp.concatenate([batch.obs.critic, batch.next_obs.critic])
    action = jnp.concatenate([batch.action, next_action])
    beliefs, batch_stats = parts.kind.critic.apply(params, batch_stats, obs, action, train=True)
    now, then = jnp.split(beliefs, 2, axis=1)
    return now, then, batch_stats


def _update_critic(
    parts: Parts, state: SACState, batch: Prepared, target: Target, hypers: SACHypers, noise: Any
) -> Regressed:
    network = parts.kind.critic
    if parts.config.norm in OVER_BATCH:
        next_action = parts.kind.some(_policy(parts, state, batch.next_obs), noise)

        def apply(params: PyTree, batch_stats: PyTree, obs, action, *, train: bool) -> tuple[jax.Array, PyTree]:
            now, _, batch_stats = _at_both_ends(parts, params, batch_stats, batch, next_action)
            return now, batch_stats

        network = Network(network.init, apply)
    learned = regress(
        network,
        state.critic,
        batch.obs.critic,
        batch.action,
        target.belief,
        batch.weight,
        hypers,
        loss=partial(parts.belief.loss, temperature=jnp.exp(state.temperature.params), hypers=hypers),
    )
    return learned._replace(critic=_on_the_sphere(parts, learned.critic, parts.layers.critic))


def _update_value(parts: Parts, state: SACState, batch: Prepared, hypers: SACHypers, noise: Any):
    now = _valued(parts, state, _policy(parts, state, batch.obs), batch.obs, hypers, noise)
    target = soft.sampled_value(now.q, now.log_ratio, jnp.exp(state.temperature.params))

    def loss(params):
        v, batch_stats = parts.value.apply(params, state.value.batch_stats, batch.obs.critic, train=True)
        return losses.value(v, target, batch.weight), batch_stats

    (total, batch_stats), grads = jax.value_and_grad(loss, has_aux=True)(state.value.params)
    value, _, finite = descend(state.value, total, grads, batch_stats, hypers.critic_lr, hypers)
    return _on_the_sphere(parts, value, parts.layers.value), total, finite


class Improved(NamedTuple):
    """What the policy's step says of itself, `[]` each."""

    loss: jax.Array
    entropy: jax.Array
    q: jax.Array
    grad_norm: jax.Array
    finite: jax.Array


def _improve(
    parts: Parts, state: SACState, batch: Prepared, hypers: SACHypers, noise: Any, clock: Clock
) -> tuple[SACState, Improved]:
    """The policy's step and the temperature's, where they are due."""
    improve = partial(_update_policy, parts, batch=batch, hypers=hypers, noise=noise)
    if parts.config.policy_delay == 1:
        return improve(state)
    due = clock.update.mod(parts.config.policy_delay) == 0
    skipped = Improved(*(jnp.float32(jnp.nan),) * 4, jnp.bool_(True))
    return jax.lax.cond(due, improve, lambda state: (state, skipped), state)


def _update_policy(
    parts: Parts, state: SACState, batch: Prepared, hypers: SACHypers, noise: Any
) -> tuple[SACState, Improved]:
    def loss(params):
        dist, batch_stats = parts.kind.policy.network.apply(
            params, state.policy.batch_stats, batch.obs.actor, train=True
        )
        now = _valued(parts, state, dist, batch.obs, hypers, noise)
        return losses.policy(now.q, now.log_ratio, batch.weight, temperature=alpha), (now, batch_stats)

    alpha = jnp.exp(state.temperature.params)
    (total, (now, batch_stats)), grads = jax.value_and_grad(loss, has_aux=True)(state.policy.params)
    policy, norm, finite = descend(state.policy, total, grads, batch_stats, hypers.policy_lr, hypers)
    state = state._replace(policy=_on_the_sphere(parts, policy, parts.layers.policy))
    if parts.config.auto_temperature:
        # The target is given as an entropy; relative to a prior both sides move by the uniform density's constant.
        target = hypers.target_entropy + parts.base
        dual_loss = losses.log_temperature if parts.config.temperature_loss == "log" else losses.temperature
        dual, grad = jax.value_and_grad(dual_loss)(
            state.temperature.params, now.log_ratio, batch.weight, target_entropy=target
        )
        temperature, _, _ = descend(state.temperature, dual, grad, (), hypers.temperature_lr, hypers)
        state = state._replace(temperature=temperature)
    log_prob, q = (losses.weighted_mean(x, batch.weight) for x in (now.log_prob, now.q))
    return state, Improved(total, -log_prob, q, norm, finite)


def _on_the_sphere(parts: Parts, net: Trained, layers: Any) -> Trained:
    return net._replace(params=unit_weights(layers, net.params)) if parts.config.unit_weights else net
