"""Age-weighted sampling by a closed-form inverse distribution function, O(1) a draw.

In a ring buffer age is known from the slot, so the cumulative weight is a parabola followed by a line and can be
inverted on paper. Weights: w(age) = max(floor, 1 − age / horizon). Source: WarpSAC, arXiv:2608.24479.
"""

import jax
import jax.numpy as jnp


def draw_age(uniform: jax.Array, ages: jax.Array, horizon: jax.Array, floor: jax.Array) -> jax.Array:
    """Ages in {0, …, ages − 1} with probability ∝ ∫_age^{age+1} max(floor, 1 − x / horizon) dx.

    Args:
      uniform: `[...]` in [0, 1).
      ages: `[]` int32, how many ages there are, at least 1.
      horizon: `[]` age at which the ramp would reach zero, in rows; infinite means uniform.
      floor: `[]` smallest weight, in (0, 1].
    Returns:
      `[...]` int32.
    """
    total = ages.astype(jnp.float32)
    slope = 1.0 / horizon
    floor = jnp.minimum(floor, 1.0 - 1e-6)  # a floor of 1 with an infinite horizon would be 0 · ∞
    ramp = jnp.minimum((1.0 - floor) * horizon, total)
    ramp_mass = ramp - 0.5 * slope * ramp * ramp
    mass = uniform * (ramp_mass + floor * (total - ramp))
    # a − a²/2h = mass, solved in the form that stays exact as the slope goes to zero.
    on_ramp = 2.0 * mass / (1.0 + jnp.sqrt(jnp.maximum(1.0 - 2.0 * slope * mass, 0.0)))
    on_floor = ramp + (mass - ramp_mass) / floor
    age = jnp.where(mass < ramp_mass, on_ramp, on_floor)
    return jnp.clip(age.astype(jnp.int32), 0, ages - 1)
