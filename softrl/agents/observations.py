"""What a network sees of an observation: a part of a dictionary, joined into one vector."""

import math

import jax
import jax.numpy as jnp

from softrl.types import PyTree


def joined(obs: PyTree, part: str | None) -> jax.Array:
    """The `part` of a dictionary observation (None: all of it) as `[B, O]`; leaves are `[B, ...]`."""
    leaves = jax.tree.leaves(_part(obs, part))
    return jnp.concatenate([leaf.reshape(leaf.shape[0], -1) for leaf in leaves], axis=-1)


def size(obs: PyTree, part: str | None) -> int:
    """O of `joined`, from one environment's shapes."""
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(_part(obs, part)))


def _part(obs: PyTree, part: str | None) -> PyTree:
    return obs if part is None else obs[part]
