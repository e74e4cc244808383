"""The algebraic Riccati equation by structured doubling."""

import jax
import jax.numpy as jnp

DOUBLINGS = 32  # 2^32 Riccati steps: more than any discount or closed loop can tell from infinitely many


def discrete_riccati(A: jax.Array, G: jax.Array, H: jax.Array) -> jax.Array:
    """P = H + Aᵀ P (I + G P)⁻¹ A, the limit of its iteration from P = 0; each doubling squares the number of steps.

    Args:
      A: `[n, n]`. G: `[n, n]`, actuation, such as B R⁻¹ Bᵀ. H: `[n, n]`, cost.
    Returns:
      `[n, n]`; NaN throughout where the iteration has no limit (a mode that neither decays nor is within reach of G).
    Source: Chu, Fan and Lin 2005 (structure-preserving doubling).
    """

    def double(carry: tuple, _: None) -> tuple[tuple, None]:
        A, G, H, change = carry
        solved = jnp.linalg.solve(jnp.eye(A.shape[0], dtype=A.dtype) + G @ H, jnp.concatenate([A, G], axis=1))
        solved_A, solved_G = jnp.split(solved, 2, axis=1)
        further = symmetric(H + A.T @ H @ solved_A)
        new = (A @ solved_A, symmetric(G + A @ solved_G @ A.T), further, _relative_change(H, further))
        # A limit is kept: a mode that grows but costs nothing would go on to overflow and take the rest with it.
        settled = change <= 4 * jnp.finfo(A.dtype).eps
        return tuple(jnp.where(settled, old, now) for old, now in zip(carry, new, strict=True)), None

    start = (A, G, H, jnp.asarray(jnp.inf, A.dtype))
    _, _, P, change = jax.lax.scan(double, start, length=DOUBLINGS)[0]
    # Rounding leaves far less than this, an iteration that diverges far more.
    return jnp.where(change <= jnp.finfo(P.dtype).eps ** (1 / 3), P, jnp.nan)


def symmetric(x: jax.Array) -> jax.Array:
    """½ (x + xᵀ)."""
    return 0.5 * (x + x.T)


def _relative_change(old: jax.Array, new: jax.Array) -> jax.Array:
    """Greatest change of a diagonal entry relative to itself (each has its own unit); it bounds the other entries."""
    old, new = (jax.lax.stop_gradient(jnp.diagonal(x)) for x in (old, new))
    # The second term lets an entry be zero up to the rounding of the others.
    unit = jnp.abs(new) + jnp.finfo(new.dtype).eps ** 0.5 * jnp.max(jnp.abs(new))
    return jnp.max(jnp.abs(new - old) / jnp.where(unit > 0, unit, 1.0))
