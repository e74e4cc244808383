"""Partial observation: exact soft dynamic programming over the beliefs that can be reached."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from softrl import soft
from softrl.inference import checks

MOST_BELIEFS = 2e6


class POMDP(NamedTuple):
    """A decision process whose state is seen through observations.

    transition: `[S, A, S]`, P(s′|s,a). observation: `[A, S, O]`, P(o|a, s′). reward: `[S, A]` or `[T, S, A]`.
    initial: `[S]`, the belief before the first action. log_prior: `[A]`, log p(a), or None for the counting measure (an
    agent that does not know its state cannot have actions that depend on it).
    """

    transition: jax.Array
    observation: jax.Array
    reward: jax.Array
    initial: jax.Array
    log_prior: jax.Array | None = None


class BeliefSolution(NamedTuple):
    """Soft values of every history; entry t of each tuple has N_t = (A O)^t rows, the histories of t steps.

    History n that goes on with action a and observation o is row (n A + a) O + o of the next entry.
    value: `[]`, of the initial belief, reward units. log_policy: `[A]`, of the first action.
    beliefs: T times `[N_t, S]`. log_policies: T times `[N_t, A]`. values: T times `[N_t]`.
    """

    value: jax.Array
    log_policy: jax.Array
    beliefs: tuple[jax.Array, ...]
    log_policies: tuple[jax.Array, ...]
    values: tuple[jax.Array, ...]


def solve_pomdp(pomdp: POMDP, horizon: int, *, temperature: jax.Array | float = 1.0) -> BeliefSolution:
    """The best policy over histories, V_t(b) = α log Σ_a p(a) exp(Q_t(b,a)/α),

    Q_t(b,a) = Σ_s b(s) r_t(s,a) + Σ_o P(o|b,a) V_{t+1}(b′),  b′(s′) ∝ P(o|a,s′) Σ_s b(s) P(s′|s,a),
    which is the variational backup with the belief as the state.

    Args:
      horizon: T ≥ 1, static; the tree has (A O)^(T−1) last beliefs.
      temperature: α > 0, in reward units.
    Raises:
      ValueError: a bad model or setting, or a tree too large to be exact.
    Source: Levine 2018, §6; Kaelbling, Littman and Cassandra 1998 (beliefs as states).
    """
    horizon = checks.count("horizon", horizon)
    pomdp = _validate(pomdp, horizon)
    (temperature,) = checks.positives(pomdp.transition.dtype, temperature=temperature)
    branches = pomdp.observation.shape[0] * pomdp.observation.shape[2]
    checks.elements("horizon", float(branches) ** (horizon - 1), MOST_BELIEFS, "beliefs")
    return _solve(pomdp, temperature, horizon)


def belief_update(
    pomdp: POMDP, belief: jax.Array, action: jax.Array | int, observation: jax.Array | int
) -> tuple[jax.Array, jax.Array]:
    """Bayes' rule after one step, b′ `[S]` and P(o|b,a) `[]`; the prediction itself where that probability is 0."""
    checks.distribution("belief", belief, np.shape(pomdp.initial), "[S]")
    sizes = np.shape(pomdp.observation)
    for name, index, size in (("action", action, sizes[0]), ("observation", observation, sizes[2])):
        known = checks.known(index)
        if known is not None and not 0 <= known < size:
            checks.fail(name, index, f"an index from 0 to {size - 1}")
    transition, likelihood, belief = checks.floating(pomdp.transition, pomdp.observation, belief)
    predicted = belief @ transition[:, action]
    return _condition(predicted, predicted * likelihood[action, :, observation])


def _condition(predicted: jax.Array, joint: jax.Array) -> tuple[jax.Array, jax.Array]:
    probability = jnp.sum(joint, axis=-1, keepdims=True)
    possible = probability > 0
    updated = jnp.where(possible, joint / jnp.where(possible, probability, 1.0), predicted)
    return updated, jnp.squeeze(probability, -1)


@functools.partial(jax.jit, static_argnames="horizon")
def _solve(pomdp: POMDP, temperature: jax.Array, horizon: int) -> BeliefSolution:
    beliefs, probabilities = [pomdp.initial[None]], []
    for _ in range(horizon - 1):
        children, probability = _branch(pomdp, beliefs[-1])
        beliefs.append(children)
        probabilities.append(probability)
    rewards = jnp.broadcast_to(pomdp.reward, (horizon, *pomdp.reward.shape[-2:]))
    log_policies, values = [], []
    for time in reversed(range(horizon)):
        q = beliefs[time] @ rewards[time]
        if values:
            branches = probabilities[time]
            q = soft.backup(q, 1.0, jnp.sum(branches * values[0].reshape(branches.shape), axis=-1))
        prior = None if pomdp.log_prior is None else jnp.broadcast_to(pomdp.log_prior, q.shape)
        values.insert(0, soft.value(q, temperature, prior))
        log_policies.insert(0, soft.log_policy(q, temperature, prior))
    return BeliefSolution(values[0][0], log_policies[0][0], tuple(beliefs), tuple(log_policies), tuple(values))


def _branch(pomdp: POMDP, beliefs: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Children `[N A O, S]` of beliefs `[N, S]` and the probabilities `[N, A, O]` of their observations."""
    predicted = jnp.einsum("ns,sax->nax", beliefs, pomdp.transition, precision=jax.lax.Precision.HIGHEST)
    joint = predicted[:, :, None, :] * jnp.swapaxes(pomdp.observation, 1, 2)[None]
    children, probability = _condition(jnp.broadcast_to(predicted[:, :, None, :], joint.shape), joint)
    return children.reshape(-1, beliefs.shape[1]), probability


def _validate(pomdp: POMDP, horizon: int) -> POMDP:
    states, actions = checks.sizes(pomdp.transition)
    seen = np.shape(pomdp.observation)
    if len(seen) != 3 or seen[:2] != (actions, states) or seen[2] == 0:
        checks.fail("observation", pomdp.observation, f"[A, S, O] = ({actions}, {states}, O)")
    over_time = (horizon,) if np.ndim(pomdp.reward) == 3 else ()
    checks.finite("reward", pomdp.reward, (*over_time, states, actions), "[S, A] or [T, S, A]")
    checks.distribution("transition", pomdp.transition)
    checks.distribution("observation", pomdp.observation)
    checks.distribution("initial", pomdp.initial, (states,), "[S]")
    if pomdp.log_prior is not None:
        checks.log_prior("log_prior", pomdp.log_prior, (actions,), "[A]")
    return POMDP(*checks.floating(*pomdp))
