"""How large returns are: by it rewards are scaled where a critic needs returns of a known size.

Source: SimbaV2 (arXiv:2502.15280) and FlashSAC (arXiv:2604.04539), which scale at sampling, so that replay is never
stale. Discounted returns are added up backwards, G ← γ G + r within an episode, as they do.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from softrl import running_statistics
from softrl.running_statistics import Statistics
from softrl.types import Transition

LEAST = 1e-8
"""Of a scale."""


class ReturnStatistics(NamedTuple):
    """moments: of the discounted returns that were seen. largest: `[]`, the largest |G| ever."""

    moments: Statistics
    largest: jax.Array


def init() -> ReturnStatistics:
    """Before any reward."""
    return ReturnStatistics(running_statistics.init(jax.ShapeDtypeStruct((), jnp.float32)), jnp.float32(0.0))


def observe(
    statistics: ReturnStatistics, running: jax.Array, transition: Transition, gamma: jax.Array
) -> tuple[ReturnStatistics, jax.Array]:
    """One step of N environments. Args: `running`: `[N]` G before it. Returns: the statistics, and G for the next one,
    which is 0 where an episode ended or physics gave no numbers."""
    limit = running_statistics.LARGEST
    reward = jnp.where(transition.valid, jnp.clip(transition.reward, -limit, limit), 0.0)
    running = jnp.clip(gamma * running + reward, -limit, limit)
    seen = ReturnStatistics(
        running_statistics.update(statistics.moments, running, transition.valid),
        jnp.maximum(statistics.largest, jnp.max(jnp.where(transition.valid, jnp.abs(running), 0.0))),
    )
    over = transition.terminated | transition.truncated | ~transition.valid
    return seen, jnp.where(over, 0.0, running)


def scale(statistics: ReturnStatistics, bound: jax.Array) -> jax.Array:
    """s `[]`, by which rewards are divided: max(standard deviation of G, largest |G| / bound). No return that was seen
    is beyond ± bound then, and most are near 1; 1 before the first that is not 0, since there is nothing to divide."""
    size = jnp.maximum(jnp.sqrt(statistics.moments.variance), statistics.largest / bound)
    return jnp.where(size > 0.0, jnp.maximum(size, LEAST), 1.0)
