"""One update from one rollout: ∇J = E[Σ_t ∇ log π(a_t|s_t) Â_t] of J = E[Σ_t r_t − α log π(a_t|s_t)].

Â_t is of soft returns to go: it holds r − α log π of its own step and of all that follow, so that actions are also paid
for the entropies to which they lead. Source: Levine 2018, §4.1, with a soft value baseline; the clipped surrogate is of
Schulman et al. 2017, arXiv:1707.06347, Eq 7, for soft advantages.
"""

from functools import partial

import jax
import jax.numpy as jnp

from softrl import losses
from softrl.agents.descent import Trained, descend
from softrl.agents.policy_gradient.config import PolicyGradientHypers
from softrl.agents.policy_gradient.rows import Rows, explained_variance, rows_of
from softrl.agents.policy_gradient.state import Parts, PolicyGradientInfo, PolicyGradientState
from softrl.algorithm import Feedback
from softrl.clock import Clock
from softrl.types import PyTree, Transition

Networks = tuple[Trained, Trained]
"""Policy and soft value."""


def update(
    parts: Parts,
    state: PolicyGradientState,
    rollout: Transition,
    hypers: PolicyGradientHypers,
    key: jax.Array,
    clock: Clock,
) -> tuple[PolicyGradientState, Feedback, PolicyGradientInfo]:
    """All epochs and minibatches of one rollout; then the temperature, and the statistics by which the next one acts.

    Args: `rollout`: `[T, N, ...]`, made by this state's policy; `hypers`: `[]` leaves; `key`: of this update.
    """
    if not parts.config.auto_temperature:  # it may be changed on the way
        state = state._replace(temperature=state.temperature._replace(params=jnp.log(hypers.temperature)))
    temperature = jnp.exp(state.temperature.params)
    rows = rows_of(parts, state, rollout, hypers)
    step = partial(_step, parts, rows, hypers)
    order = _shuffled(parts, key, len(rows.weight))
    (policy, value), (told, finite) = jax.lax.scan(step, (state.policy, state.value), order)
    loss, value_loss, kl, beyond, policy_norm, value_norm = map(jnp.mean, told)
    state = state._replace(policy=policy, value=value, acting=state.statistics)
    if parts.config.auto_temperature:
        state = state._replace(temperature=_warmed(parts, state.temperature, rows, hypers))
    entropy = -losses.weighted_mean(rows.log_old, rows.weight)
    info = PolicyGradientInfo(
        entropy, temperature, loss, value_loss, kl, beyond, explained_variance(rows), policy_norm, value_norm
    )
    return state, Feedback(jnp.all(finite), ()), info


def policy_loss(
    parts: Parts, params: PyTree, batch_stats: PyTree, rows: Rows, hypers: PolicyGradientHypers
) -> tuple[jax.Array, tuple[jax.Array, PyTree]]:
    """Minus the surrogate of J, whose gradient at the policy that acted is −∇J, by these parameters.

    Returns: scalar, in units of return (of its standard deviation where advantages are normalised); log π/π_old `[B]`
      and the batch statistics.
    """
    dist, batch_stats = parts.kind.policy.network.apply(params, batch_stats, rows.actor, train=True)
    log_prob = parts.kind.log_prob(dist, rows.action)
    moved = log_prob - rows.log_old
    if parts.config.surrogate == "clipped":
        loss = losses.clipped(moved, rows.advantage, rows.weight, clip_range=hypers.clip_range)
    else:
        ratio = jnp.exp(moved) if parts.config.importance_weights else jnp.ones_like(moved)
        loss = losses.score(log_prob, rows.advantage, rows.weight, ratio=ratio)
    return loss, (moved, batch_stats)


def _value_loss(parts: Parts, params: PyTree, batch_stats: PyTree, rows: Rows) -> tuple[jax.Array, PyTree]:
    value, batch_stats = parts.value.apply(params, batch_stats, rows.critic, train=True)
    return losses.value(value, rows.target, rows.weight), batch_stats


def _step(parts: Parts, rows: Rows, hypers: PolicyGradientHypers, networks: Networks, index: jax.Array):
    """One gradient step of both networks from the rows at `index`; and what it tells, as `update` reads it."""
    policy, value = networks
    rows = jax.tree.map(lambda x: x[index], rows)
    climb = jax.value_and_grad(partial(policy_loss, parts), has_aux=True)
    (loss, (moved, batch_stats)), grads = climb(policy.params, policy.batch_stats, rows, hypers)
    policy, norm, finite = descend(policy, loss, grads, batch_stats, hypers.policy_lr, hypers)
    fit = jax.value_and_grad(partial(_value_loss, parts), has_aux=True)
    (value_loss, batch_stats), grads = fit(value.params, value.batch_stats, rows)
    value, value_norm, value_finite = descend(value, value_loss, grads, batch_stats, hypers.value_lr, hypers)
    change = jnp.expm1(moved)
    kl = losses.weighted_mean(change - moved, rows.weight)
    beyond = losses.weighted_mean((jnp.abs(change) > hypers.clip_range).astype(moved.dtype), rows.weight)
    return (policy, value), ((loss, value_loss, kl, beyond, norm, value_norm), finite & value_finite)


def _shuffled(parts: Parts, key: jax.Array, count: int) -> jax.Array:
    """Which rows each gradient step learns from, `[epochs · minibatches, B / minibatches]`; each row once an epoch."""
    keys = jax.vmap(partial(jax.random.fold_in, key))(jnp.arange(parts.config.epochs))
    orders = jax.vmap(lambda key: jax.random.permutation(key, count))(keys)
    return orders.reshape(parts.config.epochs * parts.config.minibatches, -1)


def _warmed(parts: Parts, temperature: Trained, rows: Rows, hypers: PolicyGradientHypers) -> Trained:
    """The temperature after a step towards the target entropy, by the entropy of the policy that acted."""
    # The target is given as an entropy; relative to a prior both sides move by the uniform density's constant.
    dual, grad = jax.value_and_grad(losses.temperature)(
        temperature.params, rows.log_ratio, rows.weight, target_entropy=hypers.target_entropy + parts.base
    )
    return descend(temperature, dual, grad, (), hypers.temperature_lr, hypers)[0]
