"""Solutions of equations with the derivative of the equation, not of the iteration that solved it."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


@functools.partial(jax.custom_jvp, nondiff_argnums=(0, 1, 2))
def root(solve: Callable, residual: Callable, slope: Callable, params: Any) -> tuple[jax.Array, Any]:
    """x with F(params, x) = 0, differentiable in params to any order: dx = −(∂F/∂x)⁻¹ ∂F/∂params · dparams.

    Args:
      solve: `params -> (x, info)`, `x` `[N]`; any iteration, it is never differentiated; info has no derivative.
      residual: `(params, x) -> [N]`, F.
      slope: `(params, x) -> [N, N]`, ∂F/∂x.
    Returns:
      `(x, info)`.
    """
    return solve(params)


@root.defjvp
def _root_jvp(solve: Callable, residual: Callable, slope: Callable, primals: tuple, tangents: tuple) -> tuple:
    (params,), (params_dot,) = primals, tangents
    x, info = root(solve, residual, slope, params)
    _, moved = jax.jvp(lambda params: residual(params, x), (params,), (params_dot,))
    x_dot = -jnp.linalg.solve(slope(params, x), moved)
    return (x, info), (x_dot, jax.tree.map(_no_tangent, info))


def newton(
    residual: Callable,
    slope: Callable,
    start: jax.Array,
    *,
    tol: jax.Array,
    max_iterations: int,
    fallback: Callable | None = None,
) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    """Newton's iteration from `start` until a step is within `tol` or within the rounding of x.

    Args:
      residual, slope: of x alone.
      fallback: `x -> x`, a slower iteration for a convex residual. A Newton step leaves such a residual nowhere below
        zero; where it does, or overshoots by more than half the digits, the linear equations were too badly conditioned
        to be solved, and this one steps instead.
    Returns:
      `x` `[N]` and `(iterations, residual)`, the latter the greatest |F(x)|.
    """
    scale = jnp.max(jnp.abs(residual(start)))
    least, greatest = -0.01 * scale, scale / jnp.finfo(start.dtype).eps ** 0.5

    def step(carry: tuple) -> tuple:
        x, _, count = carry
        moved = x - jnp.linalg.solve(slope(x), residual(x))
        if fallback is not None:
            left = residual(moved)
            sound = jnp.all((left >= least) & (left <= greatest))  # a NaN is not
            moved = jax.lax.cond(sound, lambda x, moved: moved, lambda x, moved: fallback(x), x, moved)
        return moved, jnp.max(jnp.abs(moved - x)), count + 1

    def unfinished(carry: tuple) -> jax.Array:
        x, moved, count = carry
        return (count < max_iterations) & (moved > jnp.maximum(tol, rounding(x)))

    first = (start, jnp.asarray(jnp.inf, start.dtype), jnp.zeros((), jnp.int32))
    x, _, count = jax.lax.while_loop(unfinished, step, first)
    return x, (count, jnp.max(jnp.abs(residual(x))))


def rounding(x: jax.Array) -> jax.Array:
    """The change of x, in the sup norm, below which an iteration only sees its own rounding."""
    return 4 * jnp.finfo(x.dtype).eps * jnp.max(jnp.abs(x))


def _no_tangent(x: jax.Array) -> Any:
    return jnp.zeros_like(x) if jnp.issubdtype(x.dtype, jnp.floating) else np.zeros(x.shape, jax.dtypes.float0)
