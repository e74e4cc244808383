"""Dual ascent on the entropy constraint."""

import jax
import jax.numpy as jnp

from softrl.losses.weighting import weighted_mean


def temperature(
    log_temperature: jax.Array, log_prob: jax.Array, weight: jax.Array, *, target_entropy: jax.Array
) -> jax.Array:
    """J_α = α · sg(E[−log π(a|s)] − H̄): α grows while the policy's entropy is below its target H̄.

    Args:
      log_temperature: `[]` log α, which keeps α positive.
      log_prob: `[B]`, in nats, relative to the action prior where there is one.
      weight: `[B]`, 0 for rows to ignore.
      target_entropy: H̄ `[]`, in nats, relative to the same base measure.
    Returns: scalar; its gradient in log α is α (H − H̄).
    Source: Haarnoja et al. 2018, arXiv:1812.05905, Eq 18. Differs: per-row weights.
    """
    entropy = -weighted_mean(log_prob, weight)
    return jnp.exp(log_temperature) * jax.lax.stop_gradient(entropy - target_entropy)
