"""Soft Bellman error."""

import jax
import jax.numpy as jnp

from softrl.losses.weighting import weighted_mean


def critic(q: jax.Array, target: jax.Array, weight: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Soft Bellman error of the ensemble, J_Q = Σ_k ½ E[w (Q_k(s,a) − y)²].

    Args:
      q: `[K, B]` current estimates, in units of return.
      target: `[B]` y = `soft.backup(r, discount, V(s′))`; no gradient flows through it.
      weight: `[B]`, 0 for rows to ignore.
    Returns:
      Scalar loss (return²) and the TD errors `[K, B]`, Q − y.
    Source: Haarnoja et al. 2018, arXiv:1812.05905, Eq 5. Differs: K critics summed, per-row weights.
    """
    td_error = q - jax.lax.stop_gradient(target)[None, :]
    return jnp.sum(weighted_mean(0.5 * td_error * td_error, weight)), td_error
