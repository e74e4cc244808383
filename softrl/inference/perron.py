"""The greatest eigenvalue of a non-negative matrix and its positive vector, by policy iteration in log space."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from softrl.inference import implicit
from softrl.inference.log_matrix import log_or_minus_infinity

ONE_CLASS = "states that can all reach each other (or that all lead into one class, which grows fastest)"


class Perron(NamedTuple):
    """M x = λ x with Σ x = 1, and l M = λ l with l · x = 1.

    log_value: `[]`, log λ. log_right, log_left: `[N]`. iterations: `[]`.
    residual: `[]`, the greatest |log (M x)_i − log λ − log x_i|.
    """

    log_value: jax.Array
    log_right: jax.Array
    log_left: jax.Array
    iterations: jax.Array
    residual: jax.Array


def log_perron(log_matrix: jax.Array, *, tol: jax.Array, max_iterations: int) -> Perron:
    """Perron pair of exp(log_matrix) `[N, N]`, −inf for zeros; irreducible, or with one final class that dominates.

    h = log x solves log Σ_j M_ij e^{h_j} = log λ + h_i. Newton's step evaluates the Markov chain M_ij e^{h_j} / Σ, so
    it is Howard's policy iteration: quadratic, blind to periods, and no e^h is ever formed. NaN where it does not
    converge, which means that there is no positive vector.
    """
    start = jnp.zeros_like(log_matrix, shape=(log_matrix.shape[0] + 1,))
    x, (iterations, residual) = implicit.newton(
        _residual, _slope, log_matrix, start, tol=tol, max_iterations=max_iterations, fallback=_powers
    )
    limit = tol + 100 * jnp.finfo(x.dtype).eps * (1 + jnp.max(jnp.abs(x)))
    x = jnp.where(residual <= limit, x, jnp.nan)
    h, log_value = x[:-1], x[-1]
    last = jnp.zeros_like(x).at[-1].set(-1.0)
    stationary = jnp.linalg.solve(_slope(log_matrix, x).T, last)[:-1]
    log_right = h - jax.nn.logsumexp(h)
    return Perron(log_value, log_right, log_or_minus_infinity(stationary) - log_right, iterations, residual)


def _powers(log_matrix: jax.Array, x: jax.Array) -> jax.Array:
    """As many steps as x has entries of the power method with ½ (M/λ + I), which has the vectors of M and no period."""

    def step(_: jax.Array, x: jax.Array) -> jax.Array:
        h = x[:-1]
        forward = jax.nn.logsumexp(log_matrix + h[None], axis=-1)
        log_value = jnp.mean(forward - h)
        h = jnp.logaddexp(forward - log_value, h)
        return jnp.append(h - jnp.mean(h), log_value)

    return jax.lax.fori_loop(0, x.size, step, x)


def _residual(log_matrix: jax.Array, x: jax.Array) -> jax.Array:
    h, log_value = x[:-1], x[-1]
    # The eigenvector is fixed up to a factor: the mean of h is 0.
    return jnp.append(jax.nn.logsumexp(log_matrix + h[None], axis=-1) - log_value - h, jnp.mean(h))


def _slope(log_matrix: jax.Array, x: jax.Array) -> jax.Array:
    h = x[:-1]
    chain = jax.nn.softmax(log_matrix + h[None], axis=-1)
    one = jnp.ones((h.size, 1), h.dtype)
    return jnp.block([[chain - jnp.eye(h.size, dtype=h.dtype), -one], [one.T / h.size, jnp.zeros((1, 1), h.dtype)]])
