"""Advantages of a rollout over a soft value baseline, by generalised advantage estimation."""

import jax
import jax.numpy as jnp

from softrl import soft


def advantages(
    reward: jax.Array,
    discount: jax.Array,
    value: jax.Array,
    next_value: jax.Array,
    ended: jax.Array,
    valid: jax.Array,
    gae_lambda: jax.Array | float,
) -> jax.Array:
    """A_t = Σ_{i≥0} λⁱ (Π_{j<i} γ_{t+j}) δ_{t+i}, δ_t = r_t + γ_t V(s′_t) − V(s_t), up to the end of t's episode.

    With soft rewards r − α log π and soft values, whose sums count all later entropies, it estimates
    Q(s,a) − α log π(a|s) − V(s): at λ = 1 the soft return to go, less the baseline V.

    Args: all `[T, N]`, in time's order.
      reward: soft, r − α (log π(a|s) − log p(a|s)).
      discount: γ, 0 where the step terminated.
      value, next_value: V of the step's observation and of its true successor, so that truncation is no end.
      ended: whether the next row is of another episode.
      valid: False where physics failed; such a row has advantage 0, and none before it counts it.
      gae_lambda: λ, `[]`.
    Returns: `[T, N]`, in units of return.
    Source: Levine 2018, §4.1; Schulman et al. 2016, arXiv:1506.02438, Eq 16. Differs: soft rewards and values.
    """
    error = soft.backup(reward, discount, next_value) - value
    carried = jnp.where(ended, 0.0, gae_lambda * discount)

    def back(later, row):
        error, carried, valid = row
        # Selected, since what follows from a row without a meaning may be anything.
        now = jnp.where(valid, error + carried * later, 0.0)
        return now, now

    _, found = jax.lax.scan(back, jnp.zeros_like(error[0]), (error, carried, valid), reverse=True)
    return found
