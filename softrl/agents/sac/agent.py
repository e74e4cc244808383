"""Soft actor-critic as an `Agent`: one gradient step, in the order critics, value, policy, temperature, targets.

With `value_network` it is the message passing of Levine 2018 §4.2 and Haarnoja et al. 2018a (arXiv:1801.01290): V is a
network of its own and the critics' target is r + γ V̄(s′). Without it, Haarnoja et al. 2018b (arXiv:1812.05905): V is a
one-sample estimate from twin target critics.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from softrl import losses, networks, soft, statistics
from softrl.agents.sac.config import SACConfig, SACHypers
from softrl.clock import Clock
from softrl.distributions import tanh_gaussian
from softrl.networks import Torso
from softrl.statistics import Statistics
from softrl.types import Agent, Batch, EnvSpec, Network, PyTree, Transition

LogPrior = Callable[[PyTree, jax.Array], jax.Array]
"""Action prior: `(actor obs [B, ...], action [B, A]) -> log density [B]`, in nats."""


class Trained(NamedTuple):
    """One network and its optimiser: parameters, batch statistics (`()` without), Optax state."""

    params: PyTree
    stats: PyTree
    opt: PyTree


class SACState(NamedTuple):
    """All that learns. `target` holds the critics' parameters, or the value network's where there is one.

    value: `()` without a value network. temperature: params is log α `[]`. statistics: of observations.
    """

    policy: Trained
    critic: Trained
    value: Trained | tuple[()]
    target: PyTree
    temperature: Trained
    statistics: Statistics


class Policy(NamedTuple):
    """What one publishes of a learner: enough to act."""

    params: PyTree
    stats: PyTree
    statistics: Statistics


class SACInfo(NamedTuple):
    """What may be thrown away after an update; scalars `[]` but for `td_error` `[B]` (mean over critics).

    entropy: −E[log π], nats. q: mean of the reduced ensemble at the policy's actions. *_grad_norm: before clipping.
    finite: every loss and gradient was a number. Policy entries are NaN where a delay left the policy alone.
    """

    critic_loss: jax.Array
    value_loss: jax.Array
    policy_loss: jax.Array
    temperature: jax.Array
    entropy: jax.Array
    q: jax.Array
    critic_grad_norm: jax.Array
    policy_grad_norm: jax.Array
    finite: jax.Array
    td_error: jax.Array


class Parts(NamedTuple):
    """The static pieces that an update is made of. base: nats by which the prior's measure shifts an entropy."""

    config: SACConfig
    spec: EnvSpec
    policy: Network
    critic: Network
    value: Network
    log_prior: LogPrior
    base: float


def sac(config: SACConfig, spec: EnvSpec, *, log_prior: LogPrior | None = None) -> Agent:
    """Soft actor-critic for observations and actions as in `spec`.

    Args:
      config: static fields.
      spec: its `actor_obs` and `critic_obs` select from dictionary observations.
      log_prior: a log density over actions whose KL replaces the entropy; overrides `config.action_prior`. The target
        entropy then bounds −KL(π ‖ prior) + A log 2, so that the uniform prior leaves the policy as it was.
    Returns:
      `Agent` with `SACState`, `SACInfo` and `Policy`.
    """
    torso = Torso(config.width, config.depth, config.activation, config.layer_norm)
    actor_size, critic_size = (_size(_select(spec.obs, name)) for name in (spec.actor_obs, spec.critic_obs))
    bounds = {"log_std_min": config.log_std_min, "log_std_max": config.log_std_max}
    uniform = -spec.action_size * math.log(2.0)
    base = 0.0 if log_prior is None and config.action_prior == "lebesgue" else uniform
    parts = Parts(
        config,
        spec,
        networks.policy(torso, actor_size, spec.action_size, **bounds),
        networks.soft_q(torso, critic_size, spec.action_size, num_critics=config.num_critics),
        networks.soft_v(torso, critic_size),
        log_prior or partial(_constant_prior, base),
        base,
    )
    return Agent(
        init=partial(_init, parts),
        act=partial(_act, parts),
        observe=partial(_observe, parts),
        update=partial(_update, parts),
        policy=lambda state: Policy(state.policy.params, state.policy.stats, state.statistics),
    )


def _constant_prior(log_density: float, obs: PyTree, action: jax.Array) -> jax.Array:
    return jnp.full(action.shape[:-1], log_density)


def _init(parts: Parts, key: jax.Array, hypers: SACHypers) -> SACState:
    keys = jax.random.split(key, 3)
    optimizer = _adam(0.0, 1.0, hypers)

    def trained(network: Network, key: jax.Array) -> Trained:
        params, stats = network.init(key)
        return Trained(params, stats, optimizer.init(params))

    policy, critic = trained(parts.policy, keys[0]), trained(parts.critic, keys[1])
    value = trained(parts.value, keys[2]) if parts.config.value_network else ()
    log_temperature = jnp.log(jnp.float32(hypers.temperature))
    return SACState(
        policy=policy,
        critic=critic,
        value=value,
        # A copy: a donated call must not be given one buffer twice.
        target=jax.tree.map(jnp.copy, value.params if parts.config.value_network else critic.params),
        temperature=Trained(log_temperature, (), optimizer.init(log_temperature)),
        statistics=statistics.init(parts.spec.obs),
    )


def _act(parts: Parts, policy: Policy, carry: PyTree, obs: PyTree, key: jax.Array | None):
    if parts.config.normalize_obs:
        obs = statistics.normalize(policy.statistics, obs)
    dist, _ = parts.policy.apply(policy.params, policy.stats, _flat(_select(obs, parts.spec.actor_obs)), train=False)
    if key is None:
        return tanh_gaussian.mode(dist), carry, ()
    action, log_prob = tanh_gaussian.sample(key, dist)
    return action, carry, log_prob


def _observe(parts: Parts, state: SACState, transition: Transition) -> SACState:
    if not parts.config.normalize_obs:
        return state
    return state._replace(statistics=statistics.update(state.statistics, transition.obs, transition.valid))


def _update(
    parts: Parts, state: SACState, batch: Batch, hypers: SACHypers, key: jax.Array, clock: Clock
) -> tuple[SACState, SACInfo]:
    batch = _prepared(parts, state, batch, hypers)
    noise_next, noise = jax.random.normal(key, (2, *batch.action.shape))
    critic, critic_loss, td_error, critic_norm, finite = _update_critic(parts, state, batch, hypers, noise_next)
    state = state._replace(critic=critic)
    value_loss = jnp.float32(0.0)
    if parts.config.value_network:
        value, value_loss, value_finite = _update_value(parts, state, batch, hypers, noise)
        state, finite = state._replace(value=value), finite & value_finite

    def improve(state: SACState):
        return _update_policy(parts, state, batch, hypers, noise)

    if parts.config.policy_delay == 1:
        state, (policy_loss, entropy, q, policy_norm, policy_finite) = improve(state)
    else:
        due = clock.update.mod(parts.config.policy_delay) == 0
        skipped = (*(jnp.float32(jnp.nan),) * 4, jnp.bool_(True))
        state, (policy_loss, entropy, q, policy_norm, policy_finite) = jax.lax.cond(
            due, improve, lambda s: (s, skipped), state
        )
    source = state.value.params if parts.config.value_network else state.critic.params
    state = state._replace(target=jax.tree.map(lambda t, p: t + hypers.tau * (p - t), state.target, source))
    info = SACInfo(
        critic_loss,
        value_loss,
        policy_loss,
        jnp.exp(state.temperature.params),
        entropy,
        q,
        critic_norm,
        policy_norm,
        finite & policy_finite,
        jnp.mean(td_error, axis=0),
    )
    return state, info


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
        obs, next_obs = (statistics.normalize(state.statistics, o) for o in (obs, next_obs))
    actor, critic = parts.spec.actor_obs, parts.spec.critic_obs
    return Prepared(
        actor_obs=_flat(_select(obs, actor)),
        critic_obs=_flat(_select(obs, critic)),
        action=batch.action,
        reward=hypers.reward_scale * batch.reward,
        discount=batch.discount,
        next_actor_obs=_flat(_select(next_obs, actor)),
        next_critic_obs=_flat(_select(next_obs, critic)),
        weight=batch.weight,
    )


def _update_critic(parts: Parts, state: SACState, batch: Prepared, hypers: SACHypers, noise: jax.Array):
    if parts.config.value_network:
        next_value, _ = parts.value.apply(state.target, state.value.stats, batch.next_critic_obs)
    else:
        dist, _ = parts.policy.apply(state.policy.params, state.policy.stats, batch.next_actor_obs)
        next_action, log_prob = tanh_gaussian.transform(noise, dist)
        next_q, _ = parts.critic.apply(state.target, state.critic.stats, batch.next_critic_obs, next_action)
        next_value = soft.sampled_value(
            _reduced(parts, next_q),
            log_prob,
            jnp.exp(state.temperature.params),
            parts.log_prior(batch.next_actor_obs, next_action),
        )
    target = soft.backup(batch.reward, batch.discount, next_value)

    def loss(params):
        q, stats = parts.critic.apply(params, state.critic.stats, batch.critic_obs, batch.action, train=True)
        total, td_error = losses.critic(q, target, batch.weight)
        return total, (td_error, stats)

    (total, (td_error, stats)), grads = jax.value_and_grad(loss, has_aux=True)(state.critic.params)
    critic, norm, finite = _descend(state.critic, total, grads, stats, hypers.critic_lr, hypers)
    return critic, total, td_error, norm, finite


def _update_value(parts: Parts, state: SACState, batch: Prepared, hypers: SACHypers, noise: jax.Array):
    dist, _ = parts.policy.apply(state.policy.params, state.policy.stats, batch.actor_obs)
    action, log_prob = tanh_gaussian.transform(noise, dist)
    q, _ = parts.critic.apply(state.critic.params, state.critic.stats, batch.critic_obs, action)
    prior = parts.log_prior(batch.actor_obs, action)
    target = soft.sampled_value(_reduced(parts, q), log_prob, jnp.exp(state.temperature.params), prior)

    def loss(params):
        v, stats = parts.value.apply(params, state.value.stats, batch.critic_obs, train=True)
        return losses.value(v, target, batch.weight), stats

    (total, stats), grads = jax.value_and_grad(loss, has_aux=True)(state.value.params)
    value, _, finite = _descend(state.value, total, grads, stats, hypers.critic_lr, hypers)
    return value, total, finite


def _update_policy(parts: Parts, state: SACState, batch: Prepared, hypers: SACHypers, noise: jax.Array):
    def loss(params):
        dist, stats = parts.policy.apply(params, state.policy.stats, batch.actor_obs, train=True)
        action, log_prob = tanh_gaussian.transform(noise, dist)
        q, _ = parts.critic.apply(state.critic.params, state.critic.stats, batch.critic_obs, action)
        q, prior = _reduced(parts, q), parts.log_prior(batch.actor_obs, action)
        total = losses.policy(q, log_prob, batch.weight, temperature=alpha, log_prior=prior)
        return total, (log_prob, log_prob - prior, q, stats)

    alpha = jnp.exp(state.temperature.params)
    (total, (log_prob, log_ratio, q, stats)), grads = jax.value_and_grad(loss, has_aux=True)(state.policy.params)
    policy, norm, finite = _descend(state.policy, total, grads, stats, hypers.policy_lr, hypers)
    state = state._replace(policy=policy)
    if parts.config.auto_temperature:
        # The target is given as an entropy; relative to a prior both sides move by the uniform density's constant.
        target = hypers.target_entropy + parts.base
        dual, grad = jax.value_and_grad(losses.temperature)(
            state.temperature.params, log_ratio, batch.weight, target_entropy=target
        )
        temperature, _, _ = _descend(state.temperature, dual, grad, (), hypers.temperature_lr, hypers)
        state = state._replace(temperature=temperature)
    return state, (total, -jnp.mean(log_prob), jnp.mean(q), norm, finite)


def _descend(net: Trained, loss: jax.Array, grads: PyTree, stats: PyTree, rate: jax.Array, hypers: SACHypers):
    """One Adam step; where loss or gradient is not finite the network and its optimiser stay as they were.

    Returns: `(Trained, gradient norm [], finite [])`.
    """
    norm = optax.global_norm(grads)
    finite = jnp.isfinite(norm) & jnp.isfinite(loss)
    updates, opt = _adam(rate, norm, hypers).update(grads, net.opt, net.params)
    stepped = Trained(optax.apply_updates(net.params, updates), stats, opt)
    # Selected here, network by network, so that the select fuses into the optimiser's own pass over memory.
    return jax.tree.map(lambda new, old: jnp.where(finite, new, old), stepped, net), norm, finite


def _adam(rate: Any, norm: Any, hypers: SACHypers) -> optax.GradientTransformation:
    """AdamW behind a clip by global norm, from traced numbers, so that a population can change them between updates."""
    # A factor instead of optax.clip_by_global_norm's division, which would write every gradient out once more.
    clip = jnp.minimum(1.0, hypers.max_grad_norm / jnp.maximum(norm, 1e-30))
    return optax.chain(
        optax.scale(clip),
        optax.scale_by_adam(),
        optax.add_decayed_weights(hypers.weight_decay, mask=_kernels),
        optax.scale_by_learning_rate(rate),
    )


def _kernels(params: PyTree) -> PyTree:
    return jax.tree_util.tree_map_with_path(lambda path, _: "kernel" in jax.tree_util.keystr(path), params)


def _reduced(parts: Parts, q: jax.Array) -> jax.Array:
    return jnp.min(q, axis=0) if parts.config.critic_reduction == "min" else jnp.mean(q, axis=0)


def _select(obs: PyTree, name: str | None) -> PyTree:
    return obs if name is None else obs[name]


def _flat(obs: PyTree) -> jax.Array:
    """Joins a pytree of `[B, ...]` leaves into `[B, O]`."""
    return jnp.concatenate([leaf.reshape(leaf.shape[0], -1) for leaf in jax.tree.leaves(obs)], axis=-1)


def _size(obs: PyTree) -> int:
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(obs))
