"""Age-weighted sampling by a closed-form inverse distribution function, O(1) a draw.

In a ring buffer age is known from the slot, so the cumulative weight is a parabola followed by a line and can be
inverted on paper. Weights: w(age) = max(floor, 1 − age / horizon). Source: WarpSAC, arXiv:2608.24479.
"""

import math
from dataclasses import dataclass
from typing import Annotated, Protocol

import jax
import jax.numpy as jnp

from softrl.config import Within


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class ReplayHypers:
    """Traced: how replay is sampled, plain numbers as the user gives them, arrays inside a program."""

    recency_horizon: Annotated[float, Within(0.0, above=True)] = math.inf
    """A transition's weight in replay falls linearly with age, to zero after this many transitions; inf is uniform."""
    recency_floor: Annotated[float, Within(0.0, 1.0, above=True)] = 0.1
    """The weight of an old transition is at least this share of the newest one's."""


class Discounted(Protocol):
    """What sampling reads of an agent's hyperparameters: γ `[]`."""

    gamma: jax.Array


class SamplingHypers(Protocol):
    """What sampling reads of a program's hyperparameters; all leaves `[]` float32."""

    agent: Discounted
    replay: ReplayHypers


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


def finer(key: jax.Array, age: jax.Array, ages: jax.Array, most: int) -> jax.Array:
    """Ages drawn from float32 numbers, whose 24 bits do not tell more than 2²³ rows apart, with new low bits.

    Args: `age`: of `draw_age`; `ages`: as there; `most`: what `ages` can grow to. Static: few rows stay as they are.
    """
    if most <= 1 << 23:
        return age
    block = 1 << (most.bit_length() - 22)
    return jnp.minimum(age - age % block + jax.random.randint(key, age.shape, 0, block), ages - 1)
