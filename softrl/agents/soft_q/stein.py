"""Stein variational gradient descent (Liu and Wang 2016, arXiv:1608.04471): which way K particles move together so that
they become draws from a density that is known but for its constant.

A kernel is a function `(x [B, K, A], y [B, M, A]) -> [B, K, M]`.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

Kernel = Callable[[jax.Array, jax.Array], jax.Array]

SCALES = (1 / 64, 1 / 16, 1 / 4, 1.0, 4.0, 16.0)
"""Of the kernel `rbf`: from eight times the median distance to a quarter of it."""

LEAST_BANDWIDTH = 1e-6
"""Of squared distances: particles that all lie in one place have no median distance."""


def direction(x: jax.Array, score: jax.Array, kernel: Kernel) -> jax.Array:
    """φ(x_i) = (1/K) Σ_j [k(x_j, x_i) ∇ log p(x_j) + ∇_{x_j} k(x_j, x_i)]: towards where p is large, and apart.

    Args: `x` `[B, K, A]`, K particles of each of B densities; `score` `[B, K, A]`, ∇ log p there.
    Returns: `[B, K, A]`; zero on average over draws from p.
    Source: Liu and Wang 2016, Eq 8.
    """
    attraction = jnp.einsum("bji,bja->bia", kernel(x, x), score)
    # Σ_j ∇_{x_j} k(x_j, x_i) is the derivative in a shift of all x_j at once: A of them, whatever K is.
    shifted = lambda shift: jnp.sum(kernel(x + shift[None, None], x), axis=1)
    repulsion = jax.jacfwd(shifted)(jnp.zeros(x.shape[-1], x.dtype))
    return (attraction + repulsion) / x.shape[1]


def bandwidth(x: jax.Array) -> jax.Array:
    """The median of all |x_i − x_j|² at each of B states, `[B, 1, 1]`, without a gradient."""
    median = jnp.median(_squares(x, x), axis=(1, 2), keepdims=True)
    return jnp.maximum(jax.lax.stop_gradient(median), LEAST_BANDWIDTH)


def rbf(bandwidth: jax.Array) -> Kernel:
    """The mean over c of exp(−c |x − y|² / h). Args: `bandwidth`: h, `[B, 1, 1]`.

    Several widths, since of two modes that lie apart a narrow kernel knows their widths but not how much of the mass
    either has, and a wide one the other way round.
    """

    def kernel(x: jax.Array, y: jax.Array) -> jax.Array:
        scaled = _squares(x, y) / bandwidth
        return sum(jnp.exp(-c * scaled) for c in SCALES) / len(SCALES)

    return kernel


def _squares(x: jax.Array, y: jax.Array) -> jax.Array:
    return jnp.sum(jnp.square(x[:, :, None] - y[:, None]), axis=-1)


def of_others(kernel: Kernel) -> Kernel:
    """The kernel without pairs of a particle and itself, made up for in size: a `direction` that has no bias.

    A particle that also pulls itself uphill, with weight 1/K, makes an amortised sampler too narrow. The publication
    (Haarnoja et al. 2017, appendix C) keeps two sets, one that pulls and one that moves; here every particle does both.
    """

    def without(x: jax.Array, y: jax.Array) -> jax.Array:
        count = x.shape[1]
        return kernel(x, y) * (count / (count - 1.0) * (1.0 - jnp.eye(count)))[None]

    return without
