"""The variational policy update: project onto the Boltzmann distribution of the critics."""

import jax

from softrl import soft
from softrl.losses.weighting import weighted_mean


def policy(
    q: jax.Array, log_prob: jax.Array, weight: jax.Array, *, temperature: jax.Array, log_prior: jax.Array | float = 0.0
) -> jax.Array:
    """J_π = −E[w (Q(s,a) − α (log π(a|s) − log p(a|s)))], a ~ π reparameterised; KL(π ‖ p e^{Q/α}) up to a constant.

    Args:
      q: `[B]` (reduced over the ensemble) value of a sampled action, gradient flowing through the action.
      log_prob: `[B]` of that action, in nats.
      weight: `[B]`, 0 for rows to ignore.
      temperature: α `[]`; no gradient flows through it.
      log_prior: `[B]` log density of the action prior; 0 is the Lebesgue measure (plain entropy).
    Returns: scalar, in units of return.
    Source: Haarnoja et al. 2018, arXiv:1812.05905, Eq 7; Levine 2018, §4.2.
    """
    return -weighted_mean(soft.sampled_value(q, log_prob, jax.lax.stop_gradient(temperature), log_prior), weight)
