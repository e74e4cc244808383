"""One gradient step, in the order critics, targets, sampler.

The critics minimise the soft Bellman error with V(s) = α log ∫ exp(Q(s,a)/α) da of the target critics, a sum over n
actions or an importance estimate (Levine 2018 §4.2; Haarnoja et al. 2017, arXiv:1702.08165). The Boltzmann policy is
known only by Q, so a sampler follows it by Stein's direction, and by importance draws, which know how much of the mass
every mode has; of discrete actions it is known, and nothing else learns.
Over a window of m steps the target is y = Σ_{i<m} γⁱ rᵢ + Σ_{0<i<m} γⁱ α H(sᵢ) + γᵐ V(s_m), with α H = V − E[Q].
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp

from softrl import losses, running_statistics, soft
from softrl.agents.critics import reduced, regress
from softrl.agents.descent import descend
from softrl.agents.observations import joined
from softrl.agents.soft_q import mmd, sampler, stein
from softrl.agents.soft_q.actions import Soft, soft_of
from softrl.agents.soft_q.config import SoftQHypers
from softrl.agents.soft_q.state import Parts, SoftQInfo, SoftQState
from softrl.algorithm import Feedback
from softrl.clock import Clock
from softrl.distributions import tanh_gaussian
from softrl.types import Batch, PyTree


def update(
    parts: Parts, state: SoftQState, batch: Batch, hypers: SoftQHypers, key: jax.Array, clock: Clock
) -> tuple[SoftQState, Feedback, SoftQInfo]:
    """One gradient step of every network. Args: `batch`: `[B, ...]` as replay gives it; `hypers`: `[]` leaves."""
    state = state._replace(temperature=hypers.temperature)  # it may be changed on the way
    after = _soft(parts, state, _seen(parts, state, batch.next_obs), jax.random.fold_in(key, 0))
    reward = hypers.reward_scale * batch.reward
    if batch.window != ():
        reward += _value_of_entropies(parts, state, batch, jax.random.fold_in(key, 1))
    target = soft.backup(reward, batch.discount, after.value)
    obs = _seen(parts, state, batch.obs)
    critic, critic_loss, td_error, critic_norm, finite = regress(
        parts.kind.critic, state.critic, obs.critic, batch.action[:, None], target, batch.weight, hypers, loss=_of_one
    )
    targets = jax.tree.map(lambda t, p: t + hypers.tau * (p - t), state.target, critic.params)
    state = state._replace(critic=critic, target=targets)
    stein_norm = policy_norm = jnp.float32(0.0)
    if parts.kind.sampled:
        state, stein_norm, policy_norm, policy_finite = _update_sampler(parts, state, obs, batch.weight, hypers, key)
        finite &= policy_finite
    v, q = (losses.weighted_mean(x, batch.weight) for x in after)
    info = SoftQInfo(v, q, (v - q) / state.temperature, critic_loss, stein_norm, critic_norm, policy_norm)
    return state, Feedback(finite, jnp.mean(jnp.abs(td_error), axis=0)), info


class Seen(NamedTuple):
    """Observations as the networks see them, `[B, O]` each."""

    actor: jax.Array
    critic: jax.Array


def _seen(parts: Parts, state: SoftQState, obs: PyTree) -> Seen:
    if parts.config.normalize_obs:
        obs = running_statistics.normalize(state.statistics, obs)
    return Seen(joined(obs, parts.spec.actor_obs), joined(obs, parts.kind.critic_obs))


def _soft(parts: Parts, state: SoftQState, seen: Seen, key: jax.Array) -> Soft:
    """What the target critics' Boltzmann policy is worth."""
    params = state.sampler.params if parts.kind.sampled else ()
    support = parts.kind.support(params, seen.actor, key)
    q = _q(parts, state, state.target, seen, support.action)
    return soft_of(q, support.log_weight, state.temperature)


def _value_of_entropies(parts: Parts, state: SoftQState, batch: Batch, key: jax.Array) -> jax.Array:
    """Σ_{0<i<m} γⁱ α H(sᵢ) `[B]`: what a soft value earns between the ends of a window."""
    rest = jax.tree.map(lambda o: o[:, 1:].reshape(-1, *o.shape[2:]), batch.window.obs)
    found, discount = _soft(parts, state, _seen(parts, state, rest), key), batch.window.discount[:, 1:]
    return jnp.sum(discount * (found.value - found.q).reshape(discount.shape), axis=-1)


def _of_one(q: jax.Array, target: jax.Array, weight: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The critics' loss at one action a state, `q` `[K, B, 1]`."""
    return losses.critic(q[..., 0], target, weight)


def _update_sampler(
    parts: Parts, state: SoftQState, obs: Seen, weight: jax.Array, hypers: SoftQHypers, key: jax.Array
) -> tuple[SoftQState, jax.Array, jax.Array, jax.Array]:
    shape = (len(weight), parts.config.stein_particles, parts.spec.action.size)
    noise = jax.random.normal(jax.random.fold_in(key, 2), shape)
    move = partial(_direction, parts, state, obs, hypers.mass_weight, jax.random.fold_in(key, 3))

    def loss(params: PyTree) -> tuple[jax.Array, jax.Array]:
        u = sampler.pre_tanh(parts.kind.policy, params, obs.actor, noise)
        return sampler.loss(u, move(jax.lax.stop_gradient(u)), weight)

    (total, size), grads = jax.value_and_grad(loss, has_aux=True)(state.sampler.params)
    trained, norm, finite = descend(state.sampler, total, grads, state.sampler.batch_stats, hypers.policy_lr, hypers)
    return state._replace(sampler=trained), size, norm, finite


def _direction(
    parts: Parts, state: SoftQState, obs: Seen, mass_weight: jax.Array, key: jax.Array, u: jax.Array
) -> jax.Array:
    """Which way draws u `[B, K, A]` before the tanh move: Stein's direction, and towards importance draws."""
    support = parts.kind.support(state.sampler.params, obs.actor, key)
    q = _q(parts, state, state.critic.params, obs, support.action)
    share = jax.nn.softmax(support.log_weight + q / state.temperature)
    score = jax.grad(lambda u: jnp.sum(_log_density(parts, state, obs, u)))(u)
    kernel = stein.rbf(stein.bandwidth(u))
    pull = mass_weight * mmd.effective_share(share)[:, None, None]
    to_mass = mmd.direction(u, tanh_gaussian.inverse(support.action), share, kernel)
    return stein.direction(u, score, stein.of_others(kernel)) + pull * to_mass


def _q(parts: Parts, state: SoftQState, params: PyTree, obs: Seen, action: jax.Array) -> jax.Array:
    """The ensemble's estimate, by these critics, `[B, P]`. Args: `action`: `[B, P, ...]`."""
    q, _ = parts.kind.critic.apply(params, state.critic.batch_stats, obs.critic, action)
    return reduced(parts.config.critic_reduction, q)


def _log_density(parts: Parts, state: SoftQState, obs: Seen, u: jax.Array) -> jax.Array:
    """Of the Boltzmann policy before the tanh, Q(s, tanh u)/α + Σ log(1 − tanh² u) `[B, K]`, up to a constant."""
    q = _q(parts, state, state.critic.params, obs, jnp.tanh(u))
    return q / state.temperature + jnp.sum(tanh_gaussian.log_det(u), axis=-1)
