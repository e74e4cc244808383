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
    params: Any,
    start: jax.Array,
    *,
    tol: jax.Array,
    max_iterations: int,
    fallback: Callable | None = None,
) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    """A `root` by Newton's iteration from `start`, until a step is within `tol` or within the rounding of x.

    Args:
      residual, slope: as in `root`.
      fallback: `(params, x) -> x`, a slower iteration for a convex residual. A Newton step leaves such a residual
        nowhere below zero; where it does, or overshoots by more than half the digits, the linear equations were too
        badly conditioned to be solved, and this one steps instead.
    Returns:
      `x` `[N]` and `(iterations, residual)`, the latter the greatest |F(x)|.
    """

    def solve(given: tuple) -> tuple[jax.Array, tuple]:
        params, start, tol = given
        scale = jnp.max(jnp.abs(residual(params, start)))
        least, greatest = -0.01 * scale, scale / jnp.finfo(start.dtype).eps ** 0.5

        def step(x: jax.Array) -> jax.Array:
            moved = x - jnp.linalg.solve(slope(params, x), residual(params, x))
            if fallback is None:
                return moved
            left = residual(params, moved)
            sound = jnp.all((left >= least) & (left <= greatest))  # a NaN is not
            return jax.lax.cond(sound, lambda x, moved: moved, lambda x, moved: fallback(params, x), x, moved)

        x, count = iterate(step, start, tol=tol, max_iterations=max_iterations)
        return x, (count, jnp.max(jnp.abs(residual(params, x))))

    of = lambda function: lambda given, x: function(given[0], x)
    return root(solve, of(residual), of(slope), (params, start, tol))


def iterate(step: Callable, start: Any, *, tol: jax.Array, max_iterations: jax.Array | int) -> tuple[Any, jax.Array]:
    """x ← step(x) until a step changes x, in the sup norm, by no more than `tol` or its rounding; and the steps taken.

    x may be a tuple; its first entry is then the one that has to settle.
    """
    settling = lambda x: x[0] if isinstance(x, tuple) else x

    def advance(carry: tuple) -> tuple:
        x, _, count = carry
        following = step(x)
        return following, jnp.max(jnp.abs(settling(following) - settling(x))), count + 1

    def unfinished(carry: tuple) -> jax.Array:
        x, moved, count = carry
        rounding = 4 * jnp.finfo(moved.dtype).eps * jnp.max(jnp.abs(settling(x)))
        return (count < max_iterations) & (moved > jnp.maximum(tol, rounding))

    first = (start, jnp.asarray(jnp.inf, tol.dtype), jnp.zeros((), jnp.int32))
    x, _, count = jax.lax.while_loop(unfinished, advance, first)
    return x, count


def _no_tangent(x: jax.Array) -> Any:
    return jnp.zeros_like(x) if jnp.issubdtype(x.dtype, jnp.floating) else np.zeros(x.shape, jax.dtypes.float0)
