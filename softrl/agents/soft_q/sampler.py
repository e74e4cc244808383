"""The amortised sampler of continuous actions: a = tanh(u), u = ξ + f(s, ξ), ξ ~ N(0, I) of the actions' dimension A.

It begins near u = ξ, one to one and with actions everywhere, and may become any distribution, of several modes too.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp

from softrl import losses
from softrl.distributions import tanh_gaussian
from softrl.types import Network, PyTree

_LOG_2PI = math.log(2.0 * math.pi)


class Draws(NamedTuple):
    """K of a sampler's draws at B states. action: `[B, K, A]` in (−1, 1). log_prob: `[B, K]`, nats."""

    action: jax.Array
    log_prob: jax.Array


def pre_tanh(network: Network, params: PyTree, obs: jax.Array, noise: jax.Array) -> jax.Array:
    """u = ξ + f(s, ξ). Args: `obs` `[B, O]`, `noise` `[B, K, A]`. Returns: `[B, K, A]`."""
    seen = jnp.broadcast_to(obs[:, None], (*noise.shape[:2], obs.shape[-1]))
    return noise + network.apply(params, (), jnp.concatenate([seen, noise], axis=-1))[0]


def draws(network: Network, params: PyTree, obs: jax.Array, noise: jax.Array) -> Draws:
    """Actions and their density by change of variables, log π(a|s) = log N(ξ) − log |det ∂u/∂ξ| − Σ log(1 − tanh² u).

    The A × A Jacobian is formed whole, so A should be small. Where several ξ give one action, each only counts its own
    share of the density. Args: `obs` `[B, O]`, `noise` `[B, K, A]`.
    """
    one = lambda obs, noise: pre_tanh(network, params, obs[None], noise[None, None])[0, 0]
    slope = jax.vmap(jax.vmap(jax.jacfwd(one, argnums=1), in_axes=(None, 0)))(obs, noise)
    u = pre_tanh(network, params, obs, noise)
    normal = -0.5 * (jnp.square(noise) + _LOG_2PI)
    log_prob = jnp.sum(normal - tanh_gaussian.log_det(u), axis=-1) - jnp.linalg.slogdet(slope)[1]
    return Draws(jnp.tanh(u), log_prob)


def loss(u: jax.Array, direction: jax.Array, weight: jax.Array) -> tuple[jax.Array, jax.Array]:
    """−E[w φ · u] with φ held fixed, whose gradient −E[w φ ∂u/∂θ] moves all draws along the direction φ.

    Args:
      u: `[B, K, A]` draws before the tanh, gradient flowing to the sampler.
      direction: φ, of the same shape.
      weight: `[B]`, 0 for rows to ignore.
    Returns: scalar, whose value means nothing; and √E[w |φ|²].
    Source: Haarnoja et al. 2017, arXiv:1702.08165, Eq 13 and 14.
    """
    phi = jax.lax.stop_gradient(direction)
    mean = lambda values: losses.weighted_mean(jnp.mean(jnp.sum(values, axis=-1), axis=-1), weight)
    return -mean(phi * u), jnp.sqrt(mean(jnp.square(phi)))
