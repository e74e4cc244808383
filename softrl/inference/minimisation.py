"""Minima of smooth functions of few variables, with the derivatives of the optimality condition."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from softrl.inference import implicit


def minimise(
    objective: Callable, params: Any, start: jax.Array, *, tol: jax.Array, max_iterations: int
) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    """A local minimum of `objective(params, x) -> []` from `start` `[N]`, differentiable in params.

    Damped Newton steps; directions in which the objective is flat (a null space of the Hessian) are left alone by the
    search and by the derivative.

    Args:
      objective: a function that closes over no traced array.
      tol: greatest derivative at which to stop.
    Returns:
      `x` `[N]` and `(iterations, gradient)`, the latter the greatest |derivative|.
    """
    gradient = jax.grad(objective, 1)
    solve = functools.partial(_search, objective, max_iterations)
    slope = functools.partial(_slope, objective)
    return implicit.root(solve, lambda p, x: gradient(p[0], x), slope, (params, start, tol))


def flat_directions(hessian: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Eigenvalues `[N]`, eigenvectors `[N, N]` and which of them are zero up to rounding, `[N]` booleans."""
    eigenvalues, vectors = jnp.linalg.eigh(hessian)
    size = jnp.abs(eigenvalues)
    # Rounding in a Hessian of sums is some hundred times that of one number.
    return eigenvalues, vectors, size <= 100 * hessian.shape[0] * jnp.finfo(hessian.dtype).eps * jnp.max(size)


def _slope(objective: Callable, params: tuple, x: jax.Array) -> jax.Array:
    hessian = jax.hessian(objective, 1)(params[0], x)
    return hessian + _flat_projector(hessian)  # invertible, and unchanged elsewhere


def _flat_projector(hessian: jax.Array) -> jax.Array:
    _, vectors, flat = flat_directions(jax.lax.stop_gradient(hessian))
    chosen = jnp.where(flat[None], vectors, 0.0)
    return chosen @ chosen.T


def _search(objective: Callable, max_iterations: int, params: tuple) -> tuple[jax.Array, tuple]:
    params, start, tol = params
    evaluate = functools.partial(jax.value_and_grad(objective, 1), params)
    second = functools.partial(jax.hessian(objective, 1), params)
    rounding = 8 * jnp.finfo(start.dtype).eps

    def step(carry: tuple) -> tuple:
        x, value, gradient, damping, count = carry
        eigenvalues, vectors, flat = flat_directions(second(x))
        scale = jnp.max(jnp.abs(eigenvalues))
        curvature = jnp.where(flat, 1.0, jnp.abs(eigenvalues) + damping * scale)
        move = -vectors @ jnp.where(flat, 0.0, vectors.T @ gradient / curvature)
        new_value, new_gradient = evaluate(x + move)
        # Near the minimum the value no longer tells two points apart; the gradient still does.
        close = new_value <= value + rounding * (1 + jnp.abs(value))
        steeper = jnp.max(jnp.abs(new_gradient)) >= jnp.max(jnp.abs(gradient))
        better = (new_value < value - rounding * (1 + jnp.abs(value))) | (close & ~steeper)
        damping = jnp.where(better, jnp.where(damping > 1e-8, damping / 8, 0.0), jnp.maximum(8 * damping, 1e-6))
        keep = lambda new, old: jnp.where(better, new, old)
        return keep(x + move, x), keep(new_value, value), keep(new_gradient, gradient), damping, count + 1

    def unfinished(carry: tuple) -> jax.Array:
        _, _, gradient, damping, count = carry
        return (count < max_iterations) & (jnp.max(jnp.abs(gradient)) > tol) & (damping < 1e9)

    first = (start, *evaluate(start), jnp.zeros_like(tol), jnp.zeros((), jnp.int32))
    x, _, gradient, _, count = jax.lax.while_loop(unfinished, step, first)
    return x, (count, jnp.max(jnp.abs(gradient)))
