"""The mean over a batch some of whose rows do not count."""

import jax
import jax.numpy as jnp


def weighted_mean(x: jax.Array, weight: jax.Array) -> jax.Array:
    """Σ_b w_b x_b / max(Σ_b w_b, 1) over the last axis; rows of weight 0 may hold any finite value.

    Args: `x` `[..., B]`, `weight` `[B]`. Returns: `[...]`.
    """
    return x @ weight / jnp.maximum(jnp.sum(weight), 1.0)
