"""One gradient step: the discriminator's reward and potential, then soft actor-critic on what they say now.

The policy's reward log D − log(1 − D) is f − log π. Soft actor-critic adds −α log π of every step by itself, α = 1, so
the reward that its critics are given is f, and rewards in replay are those of the newest f, never of an older one.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from softrl import losses as general
from softrl import running_statistics
from softrl.agents.airl import losses
from softrl.agents.airl.config import AIRLHypers, actor_critic_numbers
from softrl.agents.airl.reward import (
    Shaped,
    advantage,
    advantage_of_the_end,
    both,
    potential_after,
    reward,
    reward_inputs,
)
from softrl.agents.airl.state import AIRLInfo, AIRLState, Parts
from softrl.agents.descent import descend
from softrl.agents.observations import joined
from softrl.algorithm import Feedback
from softrl.clock import Clock
from softrl.replay import Demonstrated
from softrl.types import Batch, PyTree


def update(
    parts: Parts, state: AIRLState, sample: Demonstrated, hypers: AIRLHypers, key: jax.Array, clock: Clock
) -> tuple[AIRLState, Feedback, AIRLInfo]:
    """One gradient step of every network. Args: `sample`: experience, its newest steps, and demonstrations."""
    keys = jax.random.split(key)
    state, (loss, told_apart, finite) = update_reward(parts, state, sample.recent, sample.shown, hypers, keys[0])
    earned = learned_reward(parts, state, sample.batch, hypers.gamma)
    batch = sample.batch._replace(reward=earned)
    numbers = jax.tree.map(jnp.float32, actor_critic_numbers(hypers))
    learned, feedback, info = parts.actor_critic.update(state.actor_critic, batch, numbers, keys[1], clock)
    mean = general.weighted_mean(earned, batch.weight)
    state = state._replace(actor_critic=learned)
    return state, Feedback(finite & feedback.finite, ()), AIRLInfo(loss, told_apart, mean, *info)


class Compared(NamedTuple):
    """Rows as the discriminator sees them. state, next_state: `[B, O]`; discount, ended: γ where an episode goes on,
    and where it terminated; log_prob: log π(a|s) of the policy `[B]`."""

    state: jax.Array
    action: jax.Array
    next_state: jax.Array
    discount: jax.Array
    ended: jax.Array
    log_prob: jax.Array
    weight: jax.Array


def update_reward(
    parts: Parts, state: AIRLState, acted: Batch, shown: Batch, hypers: AIRLHypers, key: jax.Array
) -> tuple[AIRLState, tuple[jax.Array, jax.Array, jax.Array]]:
    """One step of ĥ, then one of g and h.

    A row that terminated stands for γ / (1 − γ) rows of the end, too, where there is no action to choose: without them
    whether to die or to live would be decided by g's level, about which the discriminator learns nothing else.
    Args: `acted`, `shown`: single steps of the policy and of the expert.
    Returns: the state; the discriminator's loss, the share of rows that it tells apart, and whether all was finite.
    """
    acted, shown = (compared(parts, state, rows, hypers.gamma) for rows in (acted, shown))
    state, finite = _update_after(parts, state, [acted, shown], hypers)
    after = state.after.params if state.after != () else ()

    def loss(params: Shaped):
        logits = [logit(parts, params, after, rows) for rows in (shown, acted)]
        end = advantage_of_the_end(params, hypers.gamma)
        all_of = lambda logits: jnp.concatenate([logits, jnp.full_like(logits, end)])
        weights = [_with_the_end(rows, hypers.gamma) for rows in (shown, acted)]
        total = losses.discriminator(*map(all_of, logits), *weights)
        steep = _steepness(parts, params, acted, shown, key)
        right = general.weighted_mean(logits[0] > 0, shown.weight) + general.weighted_mean(logits[1] < 0, acted.weight)
        return total + hypers.gradient_penalty * steep, (total, 0.5 * right)

    (total, told), grads = jax.value_and_grad(loss, has_aux=True)(state.reward.params)
    moved, _, fine = descend(state.reward, total, grads, (), hypers.reward_lr, hypers)
    return state._replace(reward=moved), (*told, finite & fine)


def _with_the_end(rows: Compared, gamma: jax.Array) -> jax.Array:
    """Weights `[2 B]` of the rows and of what came after those that terminated, for ever and discounted."""
    return jnp.concatenate([rows.weight, rows.weight * rows.ended / (1.0 - gamma)])


def compared(parts: Parts, state: AIRLState, rows: Batch, gamma: jax.Array) -> Compared:
    """Rows with the probability that the policy of now gives their actions."""
    actor = state.actor_critic.policy
    obs, next_obs = (_normalised(parts, state, given) for given in (rows.obs, rows.next_obs))
    seen = joined(obs, parts.spec.actor_obs)
    dist, _ = parts.kind.policy.network.apply(actor.params, actor.batch_stats, seen, train=False)
    now, after = (joined(x, parts.spec.critic_obs) for x in (obs, next_obs))
    log_prob = parts.kind.log_prob(dist, rows.action)
    return Compared(now, rows.action, after, rows.discount, gamma - rows.discount, log_prob, rows.weight)


def logit(parts: Parts, params: Shaped, after: PyTree, rows: Compared) -> jax.Array:
    """f − log π `[B]`, the log odds that a row is the expert's."""
    came = (rows.next_state, rows.discount, rows.ended)
    return advantage(parts.nets, params, after, rows.state, rows.action, *came) - rows.log_prob


def learned_reward(parts: Parts, state: AIRLState, batch: Batch, gamma: jax.Array) -> jax.Array:
    """Σ_{i<m} γⁱ f of a row's window `[B]`, = Σ γⁱ g + γᵐ h(s_m) − h(s₀): what is between cancels.

    Where the window terminates nothing is bootstrapped, so what comes after it is in the reward: the end's f for ever,
    which makes γᵐ g_end / (1 − γ) of γᵐ h_end.
    """
    nets, params = parts.nets, state.reward.params
    states = [joined(_normalised(parts, state, obs), parts.spec.critic_obs) for obs in (batch.obs, batch.next_obs)]
    now, then = (nets.potential.apply(params.potential, (), x)[0] for x in states)
    if batch.window == ():
        steps, last = reward(nets, params.reward, states[0], batch.action), 1.0
    else:
        obs, action = jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), (batch.window.obs, batch.window.action))
        single = reward(nets, params.reward, joined(_normalised(parts, state, obs), parts.spec.critic_obs), action)
        steps = jnp.sum(batch.window.discount * single.reshape(batch.window.discount.shape), axis=-1)
        last = jnp.sum(batch.window.discount > 0.0, axis=-1)
    for_ever = gamma**last * params.end[0] / (1.0 - gamma)
    return losses.shaped(steps, now, jnp.where(batch.discount > 0.0, batch.discount * then, for_ever))


def _update_after(
    parts: Parts, state: AIRLState, every: list[Compared], hypers: AIRLHypers
) -> tuple[AIRLState, jax.Array]:
    if parts.nets.config.shaping == "sampled":
        return state, jnp.bool_(True)
    rows = jax.tree.map(lambda *x: jnp.concatenate(x), *every)
    sampled = potential_after(parts.nets, state.reward.params, rows.next_state, rows.discount, rows.ended)

    def loss(params):
        estimate = parts.nets.after.apply(params, (), both(parts.nets, rows.state, rows.action))[0]
        return losses.potential_after(estimate, sampled, rows.weight)

    total, grads = jax.value_and_grad(loss)(state.after.params)
    after, _, finite = descend(state.after, total, grads, (), hypers.reward_lr, hypers)
    return state._replace(after=after), finite


def _steepness(parts: Parts, params: Shaped, acted: Compared, shown: Compared, key: jax.Array) -> jax.Array:
    """Mean squared slope of g and h at points between the expert's rows and the policy's."""
    share = jax.random.uniform(key, (len(acted.weight), 1))
    between = lambda one, other: share * one + (1.0 - share) * other
    slopes = lambda network, params, x: jax.grad(lambda x: jnp.sum(network.apply(params, (), x)[0]))(x)
    seen = (reward_inputs(parts.nets, rows.state, rows.action) for rows in (shown, acted))
    weight = shown.weight * acted.weight
    of_reward = slopes(parts.nets.reward, params.reward, between(*seen))
    of_potential = slopes(parts.nets.potential, params.potential, between(shown.state, acted.state))
    return losses.slope(of_reward, weight) + losses.slope(of_potential, weight)


def _normalised(parts: Parts, state: AIRLState, obs: PyTree) -> PyTree:
    if not parts.nets.config.normalize_obs:
        return obs
    return running_statistics.normalize(state.actor_critic.statistics, obs)
