"""Backward and forward messages of the chain, in log space; the whole of Levine 2018, §2.3 and §3.1, on tables."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp

from softrl import soft
from softrl.inference import checks
from softrl.inference import mdp as model
from softrl.inference.log_matrix import log_matrix_product, log_or_minus_infinity
from softrl.inference.mdp import TabularMDP


class Messages(NamedTuple):
    """Backward messages, times α, in reward units.

    q: `[T, S, A]`, α log β_t(s, a). v: `[T + 1, S]`, α log β_t(s), with v[T] = 0.
    log_policy: `[T, S, A]`, log π_t(a|s) = (Q − V)/α + log p(a|s).
    """

    q: jax.Array
    v: jax.Array
    log_policy: jax.Array


class ForwardMessages(NamedTuple):
    """Filtered state distributions.

    log_alpha: `[T, S]`, log p(s_t | O_{1:t−1}), −inf where a state cannot be reached.
    log_norm: `[T]`, log p(O_{t−1} | O_{1:t−2}), with log_norm[0] = 0; the sum is log p(O_{1:T−1}).
    """

    log_alpha: jax.Array
    log_norm: jax.Array


def backward_messages(
    mdp: TabularMDP,
    horizon: int,
    *,
    temperature: jax.Array | float = 1.0,
    mode: str = "optimistic",
    parallel: bool = False,
) -> Messages:
    """Backward messages from the last step to the first.

    V_T = 0,  V_t(s) = α log Σ_a p(a|s) exp(Q_t(s,a)/α),
    optimistic (the exact posterior):      Q_t(s,a) = r_t(s,a) + α log Σ_s′ P(s′|s,a) exp(V_{t+1}(s′)/α);
    variational (the dynamics are given):  Q_t(s,a) = r_t(s,a) + Σ_s′ P(s′|s,a) V_{t+1}(s′).

    Args:
      horizon: T ≥ 1, the number of actions; static.
      temperature: α > 0, in reward units.
      parallel: O(log T) deep, by an associative scan over T matrices [S, S]; optimistic only. Worth it on an
        accelerator where T is large and S small.
    Raises:
      ValueError: a bad model or setting; `parallel` in the variational mode.
    Source: Levine 2018, §2.3 (optimistic), §3.1 (variational); Särkkä and García-Fernández 2021, arXiv:2102.05743.
    """
    checks.choice("mode", mode, checks.MODES)
    if parallel and mode == "variational":
        raise ValueError(
            "parallel: got True with mode='variational', expected mode='optimistic': only the optimistic messages are "
            "linear, beta_t = M_t beta_{t+1}, so that their steps can be multiplied in any order; the expectation "
            "inside the variational log-sum-exp is not linear in anything; use parallel=False"
        )
    mdp, temperature = validate(mdp, horizon, temperature)
    return _parallel(mdp, temperature, horizon) if parallel else _sequential(mdp, temperature, None, horizon, mode)


def forward_messages(mdp: TabularMDP, horizon: int, *, temperature: jax.Array | float = 1.0) -> ForwardMessages:
    """Forward messages, which condition on the optimality of the past only.

    α_1 = p(s₁),  α_{t+1}(s′) ∝ Σ_{s,a} α_t(s) p(a|s) exp(r_t(s,a)/α) P(s′|s,a).

    With the optimistic backward messages, p(s_t | O_{1:T}) ∝ α_t(s) exp(V_t(s)/α).
    Args as in `backward_messages`. Source: Levine 2018, §2.3.
    """
    mdp, temperature = validate(mdp, horizon, temperature)
    return _forward(mdp, temperature, horizon)


def backward(mdp: TabularMDP, temperature: jax.Array, price: jax.Array | None, horizon: int, mode: str) -> Messages:
    """The recursion on a model that is already validated; `price` belongs to the mode "priced" (see objective.py)."""

    # Recomputed in the backward pass: a gradient must not keep T copies of the transition.
    @functools.partial(jax.checkpoint, prevent_cse=False)
    def step(next_v: jax.Array, reward: jax.Array) -> tuple[jax.Array, Messages]:
        if mode == "optimistic":
            q = soft.optimistic_backup(reward, mdp.transition, next_v, temperature)
        elif mode == "variational":
            q = soft.backup(reward, 1.0, soft.expectation(next_v, mdp.transition))
        else:
            q = soft.priced_backup(reward, mdp.transition, next_v, price)
        v, log_policy = soft.value_and_log_policy(q, temperature, mdp.log_prior)
        return v, Messages(q, v, log_policy)

    end = jnp.zeros_like(mdp.initial)
    _, messages = jax.lax.scan(step, end, model.rewards_over_time(mdp, horizon), reverse=True)
    return messages._replace(v=jnp.concatenate([messages.v, end[None]]))


_sequential = jax.jit(backward, static_argnames=("horizon", "mode"))


@functools.partial(jax.jit, static_argnames="horizon")
def _parallel(mdp: TabularMDP, temperature: jax.Array, horizon: int) -> Messages:
    rewards = model.rewards_over_time(mdp, horizon)
    # One matrix for each distinct reward table.
    tables = rewards if mdp.reward.ndim == 3 else mdp.reward[None]
    steps = jax.vmap(log_message_matrix, (None, 0, None))(mdp, tables, temperature)
    steps = jnp.broadcast_to(steps, (horizon, *steps.shape[1:]))
    # The scan runs from the end: its left argument is the later product.
    products = jax.lax.associative_scan(lambda later, earlier: log_matrix_product(earlier, later), steps, reverse=True)
    v = temperature * jax.nn.logsumexp(products, axis=-1)
    v = jnp.concatenate([v, jnp.zeros_like(v[:1])])
    q = jax.vmap(soft.optimistic_backup, (0, None, 0, None))(rewards, mdp.transition, v[1:], temperature)
    policy = jax.vmap(soft.log_policy, (0, None, None))(q, temperature, mdp.log_prior)
    return Messages(q, v, policy)


def log_message_matrix(mdp: TabularMDP, reward: jax.Array, temperature: jax.Array) -> jax.Array:
    """One optimistic message step as a matrix, log Σ_a p(a|s) exp(r(s,a)/α) P(s′|s,a), `[S, S]`; −inf for zeros."""
    logits = reward / temperature + model.prior_or_zero(mdp)
    return jax.vmap(soft.log_expectation)(logits, jnp.swapaxes(mdp.transition, 1, 2))


@functools.partial(jax.jit, static_argnames="horizon")
def _forward(mdp: TabularMDP, temperature: jax.Array, horizon: int) -> ForwardMessages:
    incoming = jnp.reshape(mdp.transition, (-1, mdp.num_states)).T  # [S′, SA]

    def step(log_alpha: jax.Array, reward: jax.Array) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
        joint = log_alpha[:, None] + model.prior_or_zero(mdp) + reward / temperature
        reached = soft.log_expectation(joint.ravel(), incoming)
        log_norm = jax.nn.logsumexp(reached)
        return reached - log_norm, (reached - log_norm, log_norm)

    start = log_or_minus_infinity(mdp.initial)
    rewards = model.rewards_over_time(mdp, horizon)[:-1]
    _, (log_alpha, log_norm) = jax.lax.scan(step, start, rewards)
    return ForwardMessages(jnp.concatenate([start[None], log_alpha]), jnp.pad(log_norm, (1, 0)))


def validate(mdp: TabularMDP, horizon: int, temperature: jax.Array | float) -> tuple[TabularMDP, jax.Array]:
    """The model and its temperature in one floating dtype, after every check of them and of the horizon."""
    mdp = model.validate(mdp, checks.count("horizon", horizon))
    return mdp, *checks.positives(mdp.transition.dtype, temperature=temperature)
