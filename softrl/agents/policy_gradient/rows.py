"""A rollout as the losses see it: soft advantages and targets by the policy that acted."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from softrl import losses, running_statistics, soft
from softrl.agents.observations import joined
from softrl.agents.policy_gradient.advantage import advantages
from softrl.agents.policy_gradient.config import PolicyGradientHypers
from softrl.agents.policy_gradient.state import Parts, PolicyGradientState
from softrl.agents.prior import of_action
from softrl.types import PyTree, Transition


class Rows(NamedTuple):
    """The B = T N rows of a rollout.

    actor, critic: `[B, O]` what each network sees. action: `[B, ...]`. The others `[B]`: log_old, log π(a|s) of the
    policy that acted; log_ratio, the same less log p(a|s) of a prior; value, V(s); target, what it should be;
    advantage; weight, 0 for rows to ignore.
    """

    actor: jax.Array
    critic: jax.Array
    action: jax.Array
    log_old: jax.Array
    log_ratio: jax.Array
    value: jax.Array
    target: jax.Array
    advantage: jax.Array
    weight: jax.Array


def rows_of(parts: Parts, state: PolicyGradientState, rollout: Transition, hypers: PolicyGradientHypers) -> Rows:
    """The rows of a rollout `[T, N, ...]` that this state's policy made."""
    times, count = rollout.reward.shape
    flat = jax.tree.map(lambda x: x.reshape(times * count, *x.shape[2:]), rollout)
    (actor, critic), (_, next_critic) = (_seen(parts, state, obs) for obs in (flat.obs, flat.next_obs))
    dist, _ = parts.kind.policy.network.apply(state.policy.params, state.policy.batch_stats, actor)
    log_old = parts.kind.log_prob(dist, flat.action)
    prior = 0.0 if parts.log_prior is None else of_action(parts.log_prior, parts.spec.action, flat.obs, flat.action)
    log_ratio = log_old - prior
    value_of = lambda seen: parts.value.apply(state.value.params, state.value.batch_stats, seen)[0]
    value, next_value = value_of(critic), value_of(next_critic)
    reward = soft.sampled_value(hypers.reward_scale * flat.reward, log_ratio, jnp.exp(state.temperature.params))
    discount = jnp.where(flat.terminated, 0.0, hypers.gamma)
    ended = flat.terminated | flat.truncated
    table = (x.reshape(times, count) for x in (reward, discount, value, next_value, ended, flat.valid))
    advantage = advantages(*table, hypers.gae_lambda).reshape(-1)
    weight = flat.valid.astype(reward.dtype)
    target = value + advantage
    if parts.config.normalize_advantages:
        advantage = _normalized(advantage, weight)
    return Rows(actor, critic, flat.action, log_old, log_ratio, value, target, advantage, weight)


def explained_variance(rows: Rows) -> jax.Array:
    """1 − Var[target − V] / Var[target] `[]`: 1 where the value network knows the targets, 0 where it knows nothing."""
    left, whole = (_variance(x, rows.weight) for x in (rows.target - rows.value, rows.target))
    return 1.0 - left / jnp.maximum(whole, 1e-12)


def _seen(parts: Parts, state: PolicyGradientState, given: PyTree) -> tuple[jax.Array, jax.Array]:
    obs = running_statistics.normalize(state.acting, given) if parts.config.normalize_obs else given
    return joined(obs, parts.spec.actor_obs), joined(obs, parts.spec.critic_obs)


def _normalized(x: jax.Array, weight: jax.Array) -> jax.Array:
    return (x - losses.weighted_mean(x, weight)) / jnp.sqrt(_variance(x, weight) + 1e-12)


def _variance(x: jax.Array, weight: jax.Array) -> jax.Array:
    centred = x - losses.weighted_mean(x, weight)
    return losses.weighted_mean(centred * centred, weight)
