"""The soft operators of control as inference; exact solvers and deep losses call the same lines.

Conventions (Levine 2018, arXiv:1805.00909): the temperature α is in reward units, a step is optimal with probability
proportional to exp(r/α), and `log_prior=None` means the counting (or Lebesgue) base measure.
"""

import jax
import jax.numpy as jnp
from jax.scipy.special import logsumexp


def value(q: jax.Array, temperature: jax.Array | float, log_prior: jax.Array | None = None) -> jax.Array:
    """Soft value of discrete actions, V(s) = α log Σ_a p(a|s) exp(Q(s,a)/α).

    Args:
      q: `[..., A]`, in reward units.
      temperature: α > 0, broadcastable to `[...]`, in reward units.
      log_prior: `[..., A]` log p(a|s), −inf where an action is not available; None for the counting measure.
    Returns: `[...]`, in reward units; −inf where no action is available.
    Source: Levine 2018, §2.3 (backward messages, log β(s)).
    """
    logits = q / _over_actions(temperature)
    if log_prior is None:
        return temperature * logsumexp(logits, axis=-1)
    # Unavailable actions are selected away before the sum: −inf + NaN or ∞ · 0 must not reach value or gradient.
    available = log_prior > -jnp.inf
    logits = jnp.where(available, logits, 0.0) + jnp.where(available, log_prior, 0.0)
    return temperature * logsumexp(logits, axis=-1, b=available.astype(logits.dtype))


def log_policy(q: jax.Array, temperature: jax.Array | float, log_prior: jax.Array | None = None) -> jax.Array:
    """Boltzmann policy, log π(a|s) = (Q(s,a) − V(s))/α + log p(a|s).

    Args and units as in `value`. Returns `[..., A]`, −inf exactly where the prior is −inf.
    Source: Levine 2018, §2.3, π(a|s) = β(s,a)/β(s).
    """
    return value_and_log_policy(q, temperature, log_prior)[1]


def value_and_log_policy(
    q: jax.Array, temperature: jax.Array | float, log_prior: jax.Array | None = None
) -> tuple[jax.Array, jax.Array]:
    """`value` and `log_policy` at the price of one of them."""
    available = jnp.ones_like(q, bool) if log_prior is None else log_prior > -jnp.inf
    # Measured from the best action, so that the policy stays normalised where |Q| is many times α.
    best = jax.lax.stop_gradient(jnp.max(q, axis=-1, keepdims=True, where=available, initial=-jnp.inf))
    logits = jnp.where(available, q - best, 0.0) / _over_actions(temperature)
    if log_prior is not None:
        logits = jnp.where(available, logits + jnp.where(available, log_prior, 0.0), -jnp.inf)
    total = logsumexp(logits, axis=-1, keepdims=True, where=available)
    advantage = jnp.where(available, jnp.where(available, logits, 0.0) - total, -jnp.inf)
    return jnp.squeeze(best, -1) + temperature * jnp.squeeze(total, -1), advantage


def sampled_value(
    q: jax.Array, log_prob: jax.Array, temperature: jax.Array | float, log_prior: jax.Array | float = 0.0
) -> jax.Array:
    """One-sample soft value under a policy, Q(s,a) − α (log π(a|s) − log p(a|s)) with a ~ π.

    Args:
      q: `[...]` value of the sampled action, in reward units.
      log_prob: `[...]` log π(a|s), in nats.
      temperature: α, in reward units.
      log_prior: `[...]` log p(a|s); 0 is the Lebesgue base measure, whose KL is the negative entropy.
    Returns: `[...]`, in reward units; its mean over a ~ π is V_π(s).
    Source: Levine 2018, §4.2; Haarnoja et al. 2018, arXiv:1801.01290, Eq 3.
    """
    return q - temperature * (log_prob - log_prior)


def backup(reward: jax.Array, discount: jax.Array, next_value: jax.Array) -> jax.Array:
    """Variational soft Bellman backup, r + γ (1 − terminated) E[V(s′)]: dynamics stay fixed, so no optimism.

    Args: `reward` `[...]`, `discount` `[...]` = γᵐ (1 − terminated), `next_value` `[...]` (an expectation or a sample).
    Returns: `[...]`, in reward units.
    Source: Levine 2018, §3.1.
    """
    return reward + discount * next_value


def optimistic_backup(
    reward: jax.Array, transition: jax.Array, next_value: jax.Array, temperature: jax.Array | float
) -> jax.Array:
    """Exact-posterior backup, r + α log Σ_s′ P(s′|s,a) exp(V(s′)/α): dynamics are inferred too, hence optimistic.

    Args:
      reward: `[S, A]`.
      transition: `[S, A, S]`, rows sum to 1; zeros are selected away, never turned into log 0.
      next_value: `[S]`.
      temperature: α > 0, scalar.
    Returns: `[S, A]`, in reward units.
    Source: Levine 2018, §2.3–2.4.
    """
    return reward + temperature * log_expectation(next_value / temperature, transition)


def priced_backup(
    reward: jax.Array, transition: jax.Array, next_value: jax.Array, price: jax.Array | float
) -> jax.Array:
    """Backup with a price on luck, r + max_q {E_q[V(s′)] − c KL(q ‖ P(·|s,a))} = r + c log E exp(V(s′)/c).

    c = α is `optimistic_backup`, c = ∞ is `backup` exactly; between them no c is so large that rounding takes over.

    Args:
      reward: `[S, A]`. transition: `[S, A, S]`, rows sum to 1. next_value: `[S]`.
      price: c in (0, ∞], scalar, in reward units a nat.
    Returns: `[S, A]`, in reward units.
    Source: Levine 2018, §3.2 (the structured family with the dynamics fixed or free); Donsker and Varadhan's identity.
    """
    fixed = expectation(next_value, transition)
    finite = jnp.isfinite(price)
    price = jnp.where(finite, price, 1.0)
    centre = jax.lax.stop_gradient(0.5 * (jnp.max(next_value) + jnp.min(next_value)))
    scaled = (next_value - centre) / price
    # c · log(1 + tiny) would lose the tiny part, so a high price goes through expm1 and log1p.
    near = jnp.all(jnp.abs(scaled) < 0.5)
    small = jnp.log1p(expectation(jnp.expm1(jnp.where(near, scaled, 0.0)), transition))
    free = centre + price * jnp.where(near, small, log_expectation(scaled, transition))
    return reward + jnp.where(finite, free, fixed)


def expectation(values: jax.Array, weights: jax.Array) -> jax.Array:
    """Σ_k w_k x_k over the last axis, `values` `[K]`, `weights` `[..., K]`, at full precision on every device."""
    return jnp.matmul(weights, values, precision=jax.lax.Precision.HIGHEST)


@jax.custom_jvp
def log_expectation(values: jax.Array, weights: jax.Array) -> jax.Array:
    """log Σ_k w_k exp(x_k) over the last axis, safe against under- and overflow and exact about zeros.

    One exponential a value and a matrix product where that loses nothing, one exponential a weight where a row's own
    values lie too far below the greatest one. Entries of weight zero are selected away: they reach neither the value
    nor the derivative (the support is held fixed), so x_k may be anything there.

    Args:
      values: `[K]`, finite or −inf, in nats.
      weights: `[..., K]`, in [0, 1].
    Returns: `[...]`, in nats; −inf where a row has no weight.
    """
    top = jnp.max(values)
    top = jnp.where(jnp.isfinite(top), top, 0.0)
    total = expectation(jnp.exp(values - top), weights)
    # What underflows in a sum of K terms is below K · tiny; above this floor it is below one rounding.
    limits = jnp.finfo(values.dtype)
    enough = everywhere(jnp.all(total > values.size * float(limits.tiny) / float(limits.eps)))
    return jax.lax.cond(enough, lambda *_: jnp.log(total) + top, _log_expectation_by_row, values, weights)


@log_expectation.defjvp
def _log_expectation_jvp(primals: tuple, tangents: tuple) -> tuple[jax.Array, jax.Array]:
    values, weights = primals
    values_dot, weights_dot = tangents
    out = log_expectation(values, weights)
    row = jnp.expand_dims(values, tuple(range(weights.ndim - 1)))
    support = (weights > 0) & (row > -jnp.inf)
    ratio = jnp.where(support, jnp.exp(jnp.where(support, row - jnp.expand_dims(out, -1), 0.0)), 0.0)
    return out, expectation(values_dot, ratio * weights) + jnp.sum(ratio * weights_dot, axis=-1)


def _log_expectation_by_row(values: jax.Array, weights: jax.Array) -> jax.Array:
    row = jnp.expand_dims(values, tuple(range(weights.ndim - 1)))
    return logsumexp(jnp.where(weights > 0, row, -jnp.inf), axis=-1, b=weights)


@jax.custom_batching.custom_vmap
def everywhere(flag: jax.Array) -> jax.Array:
    """A scalar condition that, under vmap, holds for the whole batch or not at all: so `cond` remains a branch."""
    return flag


@everywhere.def_vmap
def _everywhere_vmap(axis_size: int, in_batched: list, flags: jax.Array) -> tuple[jax.Array, bool]:
    del axis_size, in_batched
    return everywhere(jnp.all(flags)), False


def _over_actions(temperature: jax.Array | float) -> jax.Array:
    temperature = jnp.asarray(temperature)
    return temperature if temperature.ndim == 0 else jnp.expand_dims(temperature, -1)
