"""Products of non-negative matrices that are kept as logarithms."""

import functools

import jax
import jax.numpy as jnp

from softrl import soft


def log_matrix_product(left: jax.Array, right: jax.Array) -> jax.Array:
    """log(exp(L) exp(R)), `[..., N, K]` and `[..., K, M]` to `[..., N, M]`; −inf is an exact zero.

    One matrix product after shifting rows and columns to a maximum of 0; where an entry would underflow, the sum is
    taken term by term with a shift of its own.
    """
    row, column = _top(left, -1), _top(right, -2)
    product = functools.partial(jnp.matmul, precision=jax.lax.Precision.HIGHEST)
    total = product(jnp.exp(left - row), jnp.exp(right - column))
    terms = product(_is_positive(left), _is_positive(right))
    limits = jnp.finfo(left.dtype)
    floor = left.shape[-1] * float(limits.tiny) / float(limits.eps)
    enough = soft.everywhere(jnp.all((total > floor) | (terms == 0)))
    return jax.lax.cond(enough, lambda *_: log_or_minus_infinity(total) + row + column, _term_by_term, left, right)


def log_or_minus_infinity(x: jax.Array) -> jax.Array:
    """log x with −inf, and no gradient, at zero."""
    return jnp.where(x > 0, jnp.log(jnp.where(x > 0, x, 1.0)), -jnp.inf)


def log_ratio(log_p: jax.Array, log_q: jax.Array) -> jax.Array:
    """log p − log q where neither is −inf; elsewhere 0, without a gradient."""
    both = (log_p > -jnp.inf) & (log_q > -jnp.inf)
    return jnp.where(both, log_p, 0.0) - jnp.where(both, log_q, 0.0)


def _is_positive(log_matrix: jax.Array) -> jax.Array:
    return jax.lax.stop_gradient((log_matrix > -jnp.inf).astype(log_matrix.dtype))


def _top(x: jax.Array, axis: int) -> jax.Array:
    top = jax.lax.stop_gradient(jnp.max(x, axis=axis, keepdims=True))
    return jnp.where(jnp.isfinite(top), top, 0.0)


def _term_by_term(left: jax.Array, right: jax.Array) -> jax.Array:
    # A scan over K: the tensor [..., N, K, M] of all terms would be K times the size of the result.
    columns, rows = jnp.moveaxis(left, -1, 0), jnp.moveaxis(right, -2, 0)

    def greatest(top: jax.Array, pair: tuple) -> tuple[jax.Array, None]:
        return jnp.maximum(top, pair[0][..., :, None] + pair[1][..., None, :]), None

    @functools.partial(jax.checkpoint, prevent_cse=False)
    def add(total: jax.Array, pair: tuple) -> tuple[jax.Array, None]:
        return total + jnp.exp(pair[0][..., :, None] + pair[1][..., None, :] - top), None

    start = jnp.full((*left.shape[:-1], right.shape[-1]), -jnp.inf, left.dtype)
    top, _ = jax.lax.scan(greatest, start, jax.lax.stop_gradient((columns, rows)))
    top = jnp.where(jnp.isfinite(top), top, 0.0)
    total, _ = jax.lax.scan(add, jnp.zeros_like(start), (columns, rows))
    return log_or_minus_infinity(total) + top
