"""Numbers that move during a run: learning rates, and how many updates a step is worth."""

from dataclasses import replace
from typing import Protocol, TypeVar

import jax
import jax.numpy as jnp

from softrl.clock import Clock, Counter


class ScheduleHypers(Protocol):
    """What is read of an algorithm's hyperparameters; `[]` both."""

    rate_end: jax.Array
    rate_updates: jax.Array


H = TypeVar("H", bound=ScheduleHypers)


def cosine(counter: Counter, end: jax.Array | float, whole: jax.Array | float) -> jax.Array:
    """e + (1 − e) ½ (1 + cos(π min(t / T, 1))) `[]`, 1 at first and e = `end` at T = `whole`; T = ∞ stays at 1.

    Source: Loshchilov and Hutter 2017, arXiv:1608.03983, Eq 5, without restarts.
    """
    gone = jnp.minimum(counter.capped(2**31 - 1).astype(jnp.float32) / whole, 1.0)
    return end + (1.0 - end) * 0.5 * (1.0 + jnp.cos(jnp.pi * gone))


def moved(hypers: H, clock: Clock, *rates: str) -> H:
    """Hyperparameters whose `rates` are those of now."""
    factor = cosine(clock.update, hypers.rate_end, hypers.rate_updates)
    return replace(hypers, **{name: factor * getattr(hypers, name) for name in rates})
