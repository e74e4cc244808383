"""The categorical distribution over n actions: π(a) = exp(l_a) / Σ_b exp(l_b)."""

from typing import NamedTuple

import jax
import jax.numpy as jnp


class Categorical(NamedTuple):
    """logits: `[..., n]`, log-probabilities up to a constant, in nats."""

    logits: jax.Array


def log_prob(dist: Categorical, action: jax.Array) -> jax.Array:
    """log π(a) = l_a − log Σ_b exp(l_b). Args: `action`: `[...]` integers in 0 … n − 1. Returns: `[...]`, in nats."""
    log_probs = jax.nn.log_softmax(dist.logits)
    return jnp.take_along_axis(log_probs, action[..., None], axis=-1)[..., 0]


def sample(key: jax.Array, dist: Categorical) -> tuple[jax.Array, jax.Array]:
    """A draw and its log-probability, `(action [...] int32, log_prob [...])`; gradients flow through the latter."""
    action = jax.random.categorical(key, dist.logits).astype(jnp.int32)
    return action, log_prob(dist, action)


def transform(normal: jax.Array, dist: Categorical) -> jax.Array:
    """The action that standard normal numbers `[..., 2 n]` stand for, `[...]` int32: argmax_a l_a + g_a, where
    g_a = −log ½(ε_a² + ε_{n+a}²) is Gumbel, since half the sum of two squares is exponential. One draw of the
    distribution, whichever numbers it is."""
    halves = jnp.split(normal, 2, axis=-1)
    gumbel = -jnp.log(0.5 * (halves[0] ** 2 + halves[1] ** 2))
    return jnp.argmax(dist.logits + gumbel, axis=-1).astype(jnp.int32)


def mode(dist: Categorical) -> jax.Array:
    """The most probable action, `[...]` int32; of several the first."""
    return jnp.argmax(dist.logits, axis=-1).astype(jnp.int32)


def entropy(dist: Categorical) -> jax.Array:
    """H = −Σ_a π(a) log π(a), `[...]`, in nats; a logit of −∞ adds nothing."""
    log_probs = jax.nn.log_softmax(dist.logits)
    return -jnp.sum(jnp.exp(log_probs) * jnp.where(log_probs > -jnp.inf, log_probs, 0.0), axis=-1)
