"""The amortised sampler of continuous actions: a = tanh(u), u = ξ + f(s, ξ), ξ ~ N(0, I) of the actions' dimension A.

It begins near u = ξ, one to one and with actions everywhere, and may become any distribution, of several modes too.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp

from softrl import losses
from softrl.agents.soft_q import stein
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


def stein_loss(u: jax.Array, log_density, weight: jax.Array, *, kernel: stein.Kernel) -> tuple[jax.Array, jax.Array]:
    """−E[w φ(u) · u] with φ held fixed, whose gradient −E[w φ ∂u/∂θ] moves all draws along Stein's direction φ.

    Args:
      u: `[B, K, A]` draws before the tanh, gradient flowing to the sampler.
      log_density: `(u [B, K, A]) -> [B, K]`, in nats, up to a constant for each state.
      weight: `[B]`, 0 for rows to ignore.
    Returns: scalar, whose value means nothing; and √E[w |φ|²], which vanishes where the draws have that density.
    Source: Haarnoja et al. 2017, arXiv:1702.08165, Eq 13 and 14.
    """
    at = jax.lax.stop_gradient(u)
    score = jax.grad(lambda u: jnp.sum(log_density(u)))(at)
    phi = jax.lax.stop_gradient(stein.direction(at, score, kernel))
    mean = lambda values: losses.weighted_mean(jnp.mean(jnp.sum(values, axis=-1), axis=-1), weight)
    return -mean(phi * u), jnp.sqrt(mean(jnp.square(phi)))
