"""Maximum mean discrepancy flow (Arbel et al. 2019, arXiv:1906.04370): which way K particles move together so that they
become draws from a density of which weighed draws are at hand.

Of two modes that lie apart Stein's direction feels their shapes, but hardly how much of the mass either has: what it
knows of that is what lies between them. This one knows it from the weights.
"""

import jax
import jax.numpy as jnp

from softrl.agents.soft_q.stein import Kernel, of_others


def direction(x: jax.Array, y: jax.Array, share: jax.Array, kernel: Kernel) -> jax.Array:
    """ψ(x_i) = Σ_j w_j ∇ k(x_i, y_j) − 1/(K − 1) Σ_{j≠i} ∇ k(x_i, x_j), ∇ in x_i: to where particles are missing.

    Args: `x` `[B, K, A]`, K particles of each of B densities; `y` `[B, P, A]`, `share` `[B, P]`, draws and how much of
    the density each stands for, which sum to 1. Returns: `[B, K, A]`; zero on average over x from that density.
    Source: Arbel et al. 2019, whose flow of particles this is, with weighed draws for the target.
    """
    others = of_others(kernel)

    def witness(at: jax.Array) -> jax.Array:
        return jnp.sum(kernel(at, y) * share[:, None]) - jnp.sum(jnp.mean(others(at, jax.lax.stop_gradient(x)), axis=2))

    return jax.grad(witness)(x)


def effective_share(share: jax.Array) -> jax.Array:
    """(1/Σ w² − 1)/(P − 1) `[B]`: how many of P draws count, from 0 for one of them to 1 for all alike.

    Where a single draw has all the weight, it says little of where the mass is.
    """
    count = 1.0 / jnp.sum(jnp.square(share), axis=-1)
    return (count - 1.0) / max(share.shape[-1] - 1, 1)
