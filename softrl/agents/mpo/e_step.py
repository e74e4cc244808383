"""The E-step (Levine 2018, §5.2; Abdolmaleki et al. 2018, arXiv:1806.06920, §3.1): the best distribution over actions
that is within KL ε of the old policy, held by M actions of the old policy and their weights.

`softrl.inference.mpo_e_step` solves it exactly on tables; here the temperature follows the same dual by its gradient.
"""

import math

import jax
import jax.numpy as jnp

from softrl import soft
from softrl.losses import weighted_mean


def temperature_dual(eta: jax.Array, q: jax.Array, epsilon: jax.Array, weight: jax.Array) -> jax.Array:
    """g(η) = η ε + η E_s[log (1/M) Σ_m exp(Q(s,a_m)/η)]; its minimum is max E Q subject to E_s KL(weights ‖ 1/M) ≤ ε.

    Args:
      eta: η > 0 `[]`, in units of return.
      q: `[M, B]` values of M actions of the old policy at each state, in units of return.
      epsilon: ε `[]`, nats.
      weight: `[B]`, 0 for rows to ignore.
    Returns: scalar, in units of return; `softrl.inference.reps_dual` where all weights are 1.
    Source: Abdolmaleki et al. 2018, arXiv:1806.06920, Eq 9. Differs: per-row weights.
    """
    best = jax.lax.stop_gradient(jnp.max(q, axis=0))  # from it, so that large values cost no digits
    value = best + soft.value((q - best[None]).T, eta)
    return eta * epsilon + weighted_mean(value - eta * math.log(len(q)), weight)


def weights(q: jax.Array, eta: jax.Array) -> jax.Array:
    """w_m ∝ exp(Q(s,a_m)/η), Σ_m w_m = 1: what the policy is to learn of M actions of the old one.

    Args: as in `temperature_dual`. Returns: `[M, B]`; no gradient flows through them.
    """
    return jax.lax.stop_gradient(jnp.exp(soft.log_policy(q.T, eta)).T)
