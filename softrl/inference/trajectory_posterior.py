"""The exact posterior over trajectories given that every step was optimal."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp

from softrl import soft
from softrl.inference import checks, messages
from softrl.inference.log_matrix import log_or_minus_infinity
from softrl.inference.mdp import TabularMDP


class Posterior(NamedTuple):
    """p(τ | O_{1:T}) as a Markov chain.

    log_evidence: `[]`, log p(O_{1:T}) in nats (log Z where the model has no action prior).
    log_policy: `[T, S, A]`, log p(a_t | s_t, O_{t:T}).
    state_action_marginals: `[T, S, A]`, p(s_t, a_t | O_{1:T}).
    dynamics: `[T − 1, S, A, S]`, p(s_{t+1} | s_t, a_t, O_{t+1:T}): where it differs from the model's transition, the
      posterior agent believes that it controls its luck.
    """

    log_evidence: jax.Array
    log_policy: jax.Array
    state_action_marginals: jax.Array
    dynamics: jax.Array


def posterior(mdp: TabularMDP, horizon: int, *, temperature: jax.Array | float = 1.0) -> Posterior:
    """Condition the model on O_1 = … = O_T = 1.

    log p(O) = log Σ_s p(s₁=s) exp(V_1(s)/α),  p(s₁|O) ∝ p(s₁) exp(V_1(s₁)/α),
    p(s′|s,a,O) = P(s′|s,a) exp(V_{t+1}(s′)/α) / Σ_x P(x|s,a) exp(V_{t+1}(x)/α).

    The marginals are the gradient of α · log_evidence with respect to the reward.
    Args:
      horizon: T ≥ 1, static. temperature: α > 0, in reward units.
    Raises:
      ValueError: a bad model or setting.
    Source: Levine 2018, arXiv:1805.00909, §2.3.
    """
    backward = messages.backward_messages(mdp, horizon, temperature=temperature)
    mdp, temperature = messages.validate(mdp, horizon, temperature)
    return _posterior(mdp, backward, temperature)


def sample_posterior(key: jax.Array, posterior: Posterior, *, num_samples: int = 1) -> tuple[jax.Array, jax.Array]:
    """Independent trajectories from p(τ | O_{1:T}).

    Args:
      posterior: from `posterior`. num_samples: N, static.
    Returns:
      States and actions, `[N, T]` integers each.
    Source: Levine 2018, §2.3.
    """
    keys = jax.random.split(key, checks.count("num_samples", num_samples))
    return _samples(keys, posterior)


def tilt(probabilities: jax.Array, values: jax.Array) -> jax.Array:
    """p(x) exp(v(x)) / Σ p exp(v) over the last axis, `values` `[K]`; zeros stay zeros."""
    support = probabilities > 0
    log_norm = jnp.expand_dims(soft.log_expectation(values, probabilities), -1)
    row = jnp.expand_dims(values, tuple(range(probabilities.ndim - 1)))
    return jnp.where(support, probabilities * jnp.exp(jnp.where(support, row - log_norm, 0.0)), 0.0)


@jax.jit
def _posterior(mdp: TabularMDP, backward: messages.Messages, temperature: jax.Array) -> Posterior:
    scaled = backward.v / temperature
    dynamics = jax.vmap(tilt, (None, 0))(mdp.transition, scaled[1:-1])
    return Posterior(
        log_evidence=soft.log_expectation(scaled[0], mdp.initial),
        log_policy=backward.log_policy,
        state_action_marginals=visitation(tilt(mdp.initial, scaled[0]), backward.log_policy, dynamics),
        dynamics=dynamics,
    )


def visitation(initial: jax.Array, log_policy: jax.Array, dynamics: jax.Array) -> jax.Array:
    """State-action marginals of a chain.

    Args:
      initial: `[S]`. log_policy: `[T, S, A]`. dynamics: `[S, A, S]`, or `[T − 1, S, A, S]` where they change with time.
    Returns:
      `[T, S, A]`, each step sums to 1.
    """
    initial, log_policy, dynamics = checks.floating(initial, log_policy, dynamics)
    states = initial.shape[0] if initial.ndim else 0
    if log_policy.ndim != 3 or log_policy.shape[0] == 0 or log_policy.shape[1] != states:
        checks.fail("log_policy", log_policy, f"[T, S, A] = (T, {states}, A), to go with initial [S]")
    over_time = dynamics.ndim == 4
    times = (log_policy.shape[0] - 1,) if over_time else ()
    checks.shape("dynamics", dynamics, (*times, *log_policy.shape[1:], states), "[S, A, S] or [T − 1, S, A, S]")
    policy = jnp.exp(log_policy)

    def step(state: jax.Array, now: tuple) -> tuple[jax.Array, jax.Array]:
        joint = state[:, None] * now[0]
        transition = now[1] if over_time else dynamics
        return jnp.einsum("sa,sax->x", joint, transition, precision=jax.lax.Precision.HIGHEST), joint

    last, joint = jax.lax.scan(step, initial, (policy[:-1], dynamics if over_time else None))
    return jnp.concatenate([joint, (last[:, None] * policy[-1])[None]])


@jax.jit
@functools.partial(jax.vmap, in_axes=(0, None))
def _samples(key: jax.Array, posterior: Posterior) -> tuple[jax.Array, jax.Array]:
    key_first, key_action, key_state = jax.random.split(key, 3)
    horizon = posterior.log_policy.shape[0]
    first = jax.random.categorical(key_first, log_or_minus_infinity(posterior.state_action_marginals[0].sum(-1)))

    def step(state: jax.Array, now: tuple) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
        time, log_policy, dynamics = now
        action = jax.random.categorical(jax.random.fold_in(key_action, time), log_policy[state])
        next_logits = log_or_minus_infinity(dynamics[state, action])
        return jax.random.categorical(jax.random.fold_in(key_state, time), next_logits), (state, action)

    scanned = (jnp.arange(horizon - 1), posterior.log_policy[:-1], posterior.dynamics)
    last, (states, actions) = jax.lax.scan(step, first, scanned)
    final = jax.random.categorical(jax.random.fold_in(key_action, horizon - 1), posterior.log_policy[-1, last])
    return jnp.append(states, last), jnp.append(actions, final)
