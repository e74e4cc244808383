"""Running mean and variance of observations, which a NaN row cannot poison."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from softrl.layers import NORMALIZER, Normalizer
from softrl.types import PyTree

SATURATION = 1e7
"""The count stops here: in float32 older samples would otherwise freeze the statistics at the end of a long run."""


LARGEST = 1e15
"""Of an observation's size, as far as it counts: the squares of a batch of 1e20 are infinite in float32, for good."""


class Statistics(NamedTuple):
    """count: `[]` samples seen, saturating. mean, variance: pytrees like one observation."""

    count: jax.Array
    mean: PyTree
    variance: PyTree


def init(obs: PyTree) -> Statistics:
    """Statistics that leave observations as they are. `obs`: pytree of `jax.ShapeDtypeStruct`."""
    zeros = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, jnp.float32), obs)
    return Statistics(jnp.float32(0.0), zeros, jax.tree.map(jnp.ones_like, zeros))


def update(statistics: Statistics, obs: PyTree, valid: jax.Array) -> Statistics:
    """Adds `[N, ...]` rows where `valid[N]`; others may hold anything, NaN included.

    mean and variance (biased) of the union of both samples; numbers beyond ± `LARGEST` count as that. Source: Chan et
    al. 1979, pairwise update.
    """
    rows = jnp.sum(valid, dtype=jnp.float32)
    count = statistics.count + rows
    share = rows / jnp.maximum(count, 1.0)

    def merge(mean, variance, x):
        mask = valid.reshape(valid.shape + (1,) * (x.ndim - 1))
        # Select, never multiply: 0 · NaN is NaN.
        x = jnp.clip(jnp.where(mask, x, 0.0), -LARGEST, LARGEST)
        batch_mean = jnp.sum(x, axis=0) / jnp.maximum(rows, 1.0)
        centred = jnp.where(mask, x - jnp.expand_dims(batch_mean, 0), 0.0)
        batch_variance = jnp.sum(centred * centred, axis=0) / jnp.maximum(rows, 1.0)
        delta = batch_mean - mean
        new_mean = mean + share * delta
        new_variance = (1.0 - share) * variance + share * batch_variance + share * (1.0 - share) * delta * delta
        return new_mean, jnp.where(rows > 0, new_variance, variance)

    pairs = jax.tree.map(merge, statistics.mean, statistics.variance, obs)
    mean = jax.tree.map(lambda _, pair: pair[0], statistics.mean, pairs)
    variance = jax.tree.map(lambda _, pair: pair[1], statistics.mean, pairs)
    return Statistics(jnp.minimum(count, SATURATION), mean, variance)


def normalize(statistics: Statistics, obs: PyTree, normalizer: Normalizer = NORMALIZER) -> PyTree:
    """Observations `[..., *observation]` as `softrl.layers.Normalizer` says."""

    def scale(mean, variance, x):
        lead = (1,) * (x.ndim - mean.ndim)
        mean, std = mean.reshape(lead + mean.shape), jnp.sqrt(variance + normalizer.epsilon).reshape(lead + mean.shape)
        return jnp.clip((x - mean) / std, -normalizer.clip, normalizer.clip)

    return jax.tree.map(scale, statistics.mean, statistics.variance, obs)
