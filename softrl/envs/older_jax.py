"""What JAX was when others wrote their code."""

import types

import jax
import jax.numpy as jnp


def older_jnp() -> types.SimpleNamespace:
    """`jax.numpy`, whose `clip` also takes its bounds by the names that they had before JAX 0.10."""
    return types.SimpleNamespace(**{**vars(jnp), "clip": _clip})


def _clip(x: jax.Array, a_min=None, a_max=None) -> jax.Array:
    return jnp.clip(x, a_min, a_max)
