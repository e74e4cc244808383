"""One gradient step, in the order critics, value, policy, temperature, targets.

With `value_network` it is the message passing of Levine 2018 §4.2 and Haarnoja et al. 2018a (arXiv:1801.01290): V is a
network of its own and the critics' target is r + γ V̄(s′). Without it, Haarnoja et al. 2018b (arXiv:1812.05905): V comes
from twin target critics. What is expected over actions is one draw of continuous ones, and exact of discrete ones.
Over a window of m steps the target is y = Σ_{i<m} γⁱ rᵢ − α Σ_{0<i<m} γⁱ log π(ãᵢ|sᵢ) + γᵐ V(s_m): a soft value counts
the entropies of the steps in between.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from softrl import losses, running_statistics, soft
from softrl.agents.critics import Regressed, regress
from softrl.agents.descent import descend
from softrl.agents.observations import joined
from softrl.agents.sac.actions import Expected
from softrl.agents.sac.config import SACHypers
from softrl.agents.sac.state import Parts, SACInfo, SACState
from softrl.algorithm import Feedback
from softrl.clock import Clock
from softrl.types import Batch, PyTree


def update(
    parts: Parts, state: SACState, batch: Batch, hypers: SACHypers, key: jax.Array, clock: Clock
) -> tuple[SACState, Feedback, SACInfo]:
    """One gradient step of every network.

    Args: `batch`: `[B, ...]` as replay gives it; `hypers`: `[]` leaves; `key`: of this step; `clock`: for the delay.
    """
    if not parts.config.auto_temperature:  # it may be changed on the way
        state = state._replace(temperature=state.temperature._replace(params=jnp.log(hypers.temperature)))
    batch = _prepared(parts, state, batch, hypers)
    between = batch.between_discount.shape[-1]
    noise_next, noise, *noise_between = parts.kind.noise(key, 2 + between, batch.action)
    if between:
        batch = batch._replace(reward=batch.reward + _value_of_entropies(parts, state, batch, noise_between))
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


class Seen(NamedTuple):
    """Observations as the networks see them, and as the environment gave them, for the action prior."""

    actor: jax.Array
    critic: jax.Array
    given: PyTree


class Prepared(NamedTuple):
    """A batch as the losses see it: normalised, selected, rewards scaled.

    between: the B (n − 1) observations after the first of n-step windows; between_discount: `[B, n − 1]` γⁱ, 0 beyond a
    window's end. Nothing is between where windows are of one step, or entropies do not count.
    """

    obs: Seen
    action: jax.Array
    reward: jax.Array
    discount: jax.Array
    next_obs: Seen
    weight: jax.Array
    between: Seen | tuple[()]
    between_discount: jax.Array


def _prepared(parts: Parts, state: SACState, batch: Batch, hypers: SACHypers) -> Prepared:
    between, between_discount = (), jnp.zeros((len(batch.reward), 0))
    if parts.config.n_step_entropy and batch.window != ():
        rest = jax.tree.map(lambda o: o[:, 1:].reshape(-1, *o.shape[2:]), batch.window.obs)
        between, between_discount = _seen(parts, state, rest), batch.window.discount[:, 1:]
    return Prepared(
        obs=_seen(parts, state, batch.obs),
        action=batch.action,
        reward=hypers.reward_scale * batch.reward,
        discount=batch.discount,
        next_obs=_seen(parts, state, batch.next_obs),
        weight=batch.weight,
        between=between,
        between_discount=between_discount,
    )


def _seen(parts: Parts, state: SACState, given: PyTree) -> Seen:
    obs = running_statistics.normalize(state.statistics, given) if parts.config.normalize_obs else given
    return Seen(joined(obs, parts.spec.actor_obs), joined(obs, parts.spec.critic_obs), given)


def _expected(
    parts: Parts, state: SACState, policy: PyTree, critic: PyTree, seen: Seen, noise: Any, *, train: bool = False
) -> tuple[Expected, PyTree]:
    """What a policy's actions are worth to critics, by the parameters of both; and the policy's batch statistics."""
    dist, batch_stats = parts.kind.policy.network.apply(policy, state.policy.batch_stats, seen.actor, train=train)
    q_of = lambda action: parts.kind.critic.apply(critic, state.critic.batch_stats, seen.critic, action)[0]
    return parts.kind.expected(dist, q_of, partial(parts.log_prior, seen.given), noise), batch_stats


def _value_of_entropies(parts: Parts, state: SACState, batch: Prepared, noise: list[Any]) -> jax.Array:
    """Σ_{0<i<m} γⁱ E[−α log π(ãᵢ|sᵢ)/p(ãᵢ|sᵢ)] `[B]`: what a soft value earns between the ends of a window."""
    noise = jax.tree.map(lambda *steps: jnp.stack(steps, 1).reshape(-1, *steps[0].shape[1:]), *noise)
    expected, _ = _expected(parts, state, state.policy.params, state.critic.params, batch.between, noise)
    values = soft.sampled_value(0.0, expected.log_ratio, jnp.exp(state.temperature.params))
    return jnp.sum(batch.between_discount * values.reshape(batch.between_discount.shape), axis=-1)


def _update_critic(parts: Parts, state: SACState, batch: Prepared, hypers: SACHypers, noise: Any) -> Regressed:
    if parts.config.value_network:
        next_value, _ = parts.value.apply(state.target, state.value.batch_stats, batch.next_obs.critic)
    else:
        after, _ = _expected(parts, state, state.policy.params, state.target, batch.next_obs, noise)
        next_value = soft.sampled_value(after.q, after.log_ratio, jnp.exp(state.temperature.params))
    target, bellman = soft.backup(batch.reward, batch.discount, next_value), losses.critic
    if parts.config.backup == "optimistic":
        bellman = partial(losses.optimistic_critic, beta=hypers.gamma * jnp.exp(state.temperature.params))

    return regress(
        parts.kind.critic,
        state.critic,
        batch.obs.critic,
        batch.action,
        target,
        batch.weight,
        hypers,
        loss=bellman,
    )


def _update_value(parts: Parts, state: SACState, batch: Prepared, hypers: SACHypers, noise: Any):
    now, _ = _expected(parts, state, state.policy.params, state.critic.params, batch.obs, noise)
    target = soft.sampled_value(now.q, now.log_ratio, jnp.exp(state.temperature.params))

    def loss(params):
        v, batch_stats = parts.value.apply(params, state.value.batch_stats, batch.obs.critic, train=True)
        return losses.value(v, target, batch.weight), batch_stats

    (total, batch_stats), grads = jax.value_and_grad(loss, has_aux=True)(state.value.params)
    value, _, finite = descend(state.value, total, grads, batch_stats, hypers.critic_lr, hypers)
    return value, total, finite


def _update_policy(parts: Parts, state: SACState, batch: Prepared, hypers: SACHypers, noise: Any):
    def loss(params):
        now, batch_stats = _expected(parts, state, params, state.critic.params, batch.obs, noise, train=True)
        return losses.policy(now.q, now.log_ratio, batch.weight, temperature=alpha), (now, batch_stats)

    alpha = jnp.exp(state.temperature.params)
    (total, (now, batch_stats)), grads = jax.value_and_grad(loss, has_aux=True)(state.policy.params)
    policy, norm, finite = descend(state.policy, total, grads, batch_stats, hypers.policy_lr, hypers)
    state = state._replace(policy=policy)
    if parts.config.auto_temperature:
        # The target is given as an entropy; relative to a prior both sides move by the uniform density's constant.
        target = hypers.target_entropy + parts.base
        dual, grad = jax.value_and_grad(losses.temperature)(
            state.temperature.params, now.log_ratio, batch.weight, target_entropy=target
        )
        temperature, _, _ = descend(state.temperature, dual, grad, (), hypers.temperature_lr, hypers)
        state = state._replace(temperature=temperature)
    return state, (total, -jnp.mean(now.log_prob), jnp.mean(now.q), norm, finite)
