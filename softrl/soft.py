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
    Returns:
      `[...]`, in reward units; −inf where no action is available.
    Source: Levine 2018, §2.3 (backward messages, log β(s)).
    """
    logits = q / jnp.expand_dims(jnp.asarray(temperature), -1)
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
    alpha = jnp.expand_dims(jnp.asarray(temperature), -1)
    advantage = (q - jnp.expand_dims(value(q, temperature, log_prior), -1)) / alpha
    if log_prior is None:
        return advantage
    available = log_prior > -jnp.inf
    return jnp.where(available, jnp.where(available, advantage, 0.0) + jnp.where(available, log_prior, 0.0), -jnp.inf)


def sampled_value(
    q: jax.Array, log_prob: jax.Array, temperature: jax.Array | float, log_prior: jax.Array | float = 0.0
) -> jax.Array:
    """One-sample soft value under a policy, Q(s,a) − α (log π(a|s) − log p(a|s)) with a ~ π.

    Args:
      q: `[...]` value of the sampled action, in reward units.
      log_prob: `[...]` log π(a|s), in nats.
      temperature: α, in reward units.
      log_prior: `[...]` log p(a|s); 0 is the Lebesgue base measure, whose KL is the negative entropy.
    Returns:
      `[...]`, in reward units; its mean over a ~ π is V_π(s).
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
    Returns:
      `[S, A]`, in reward units.
    Source: Levine 2018, §2.3–2.4.
    """
    scaled = jnp.where(transition > 0, next_value / temperature, 0.0)
    return reward + temperature * logsumexp(scaled, axis=-1, b=transition)
