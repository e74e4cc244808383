"""Error of the separate soft value network, the message β(s) of Levine's §4.2."""

import jax

from softrl.losses.weighting import weighted_mean


def value(v: jax.Array, target: jax.Array, weight: jax.Array) -> jax.Array:
    """J_V = ½ E[w (V(s) − (min_k Q_k(s,a) − α log π(a|s)))²], a ~ π.

    Args:
      v: `[B]` current estimate, in units of return.
      target: `[B]` `soft.sampled_value` of a fresh action; no gradient flows through it.
      weight: `[B]`, 0 for rows to ignore.
    Returns: scalar (return²).
    Source: Haarnoja et al. 2018, arXiv:1801.01290, Eq 5; Levine 2018, §4.2. Differs: min over K critics.
    """
    error = v - jax.lax.stop_gradient(target)
    return weighted_mean(0.5 * error * error, weight)
