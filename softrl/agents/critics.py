"""An ensemble of critics: its networks as data, and what it estimates."""

from functools import reduce
from typing import Protocol

import jax
import jax.numpy as jnp

from softrl.agents.actor import Style, layers
from softrl.layers import Layers


class Critics(Style, Protocol):
    """What is read of an algorithm's config."""

    critic_widths: str


def critic_layers(config: Critics, out: int = 1) -> Layers:
    """A critic's or a value network's. out: the numbers that they end in, of a discrete critic one an action."""
    return layers(config, config.critic_widths, out)


def reduced(reduction: str, q: jax.Array) -> jax.Array:
    """An ensemble's estimate `[...]` from `[K, ...]`, their `min` or their `mean`."""
    # Pairwise, since the gradient of jnp.min divides by the number of critics that equal the minimum, and that is none
    # where XLA computes q twice and rounds it differently (seen on CPUs under vmap).
    return reduce(jnp.minimum, q) if reduction == "min" else jnp.mean(q, axis=0)
