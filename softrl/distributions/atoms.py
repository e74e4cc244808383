"""Distributions over fixed atoms, n numbers from −bound to bound with equal gaps: what a categorical critic predicts.

Source: Bellemare et al. 2017, arXiv:1707.06887 (C51).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp


class Projected(NamedTuple):
    """probs: `[..., n]`. outside: `[...]`, the mass that lay beyond the atoms and is at the last one of its side."""

    probs: jax.Array
    outside: jax.Array


def atoms(count: int, bound: jax.Array | float) -> jax.Array:
    """z_i = bound (2 i / (n − 1) − 1), `[n]`, for n = `count` ≥ 2."""
    return bound * jnp.linspace(-1.0, 1.0, count)


def mean(log_probs: jax.Array, bound: jax.Array | float) -> jax.Array:
    """Σ_i p_i z_i, `[...]` from log p `[..., n]`."""
    return jnp.sum(jnp.exp(log_probs) * _row(log_probs, bound), axis=-1)


def projected(probs: jax.Array, shift: jax.Array, scale: jax.Array, bound: jax.Array | float) -> Projected:
    """The distribution of shift + scale Z, Z ~ p on the atoms, brought back onto the atoms.

    Every atom's mass goes to the two that enclose where it came to lie, in the shares that keep its mean; so the mean
    of all is kept where nothing lies beyond ± bound.

    Args: `probs`: `[..., n]`; `shift`: `[...]`; `scale`: `[...]` ≥ 0; `bound`: the largest atom.
    """
    count = probs.shape[-1]
    moved = shift[..., None] + scale[..., None] * _row(probs, bound)
    position = (jnp.clip(moved, -bound, bound) / bound + 1.0) * (0.5 * (count - 1))
    outside = jnp.sum(jnp.where(jnp.abs(moved) > bound, probs, 0.0), axis=-1)
    spread = jax.lax.platform_dependent(probs, position, cpu=_scattered, default=_by_distance)
    return Projected(spread, outside)


def _scattered(probs: jax.Array, position: jax.Array) -> jax.Array:
    """Two additions an atom: the least work, but on an accelerator their order, and so their rounding, is open."""
    count = probs.shape[-1]
    flat, at = probs.reshape(-1, count), position.reshape(-1, count)
    lower = jnp.clip(jnp.floor(at).astype(jnp.int32), 0, count - 2)
    upper_share = at - lower
    add = lambda row, where, mass: row.at[where].add(mass)
    spread = jax.vmap(add)(jnp.zeros_like(flat), lower, flat * (1.0 - upper_share))
    return jax.vmap(add)(spread, lower + 1, flat * upper_share).reshape(probs.shape)


def _by_distance(probs: jax.Array, position: jax.Array) -> jax.Array:
    """Σ_i p_i max(0, 1 − |position_i − j|) at every atom j: one reduction, whose terms are made as they are added."""
    index = jnp.arange(probs.shape[-1], dtype=position.dtype).reshape((1,) * position.ndim + (-1,))
    kernel = jnp.maximum(0.0, 1.0 - jnp.abs(position[..., None] - index))
    return jnp.sum(probs[..., None] * kernel, axis=-2)


def _row(like: jax.Array, bound: jax.Array | float) -> jax.Array:
    """The atoms with the rank of `[..., n]`, since strict JAX promotes none."""
    return atoms(like.shape[-1], bound).reshape((1,) * (like.ndim - 1) + (-1,))
