"""The two projections of a distribution onto Gaussians, one for each direction of the KL divergence."""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from softrl.inference import checks
from softrl.inference.minimisation import minimise


class Gaussian(NamedTuple):
    """mean: `[d]`. covariance: `[d, d]`."""

    mean: jax.Array
    covariance: jax.Array


def moment_projection(points: jax.Array, log_weights: jax.Array) -> Gaussian:
    """argmin over Gaussians of KL(target ‖ Gaussian): the target's mean and covariance; covers every mode.

    Args: points: `[N, d]`. log_weights: `[N]`, log density of the target at them, up to a constant.
    Source: Levine 2018, §5.2 (the direction of expectation-maximisation).
    """
    checks.rank("points", points, 2, "[N, d] with at least one point")
    checks.finite("points", points)
    checks.log_prior("log_weights", log_weights, np.shape(points)[:1], "[N]")
    points, log_weights = checks.floating(points, log_weights)
    weights = jax.nn.softmax(log_weights)
    mean = weights @ points
    centred = points - mean[None]
    return Gaussian(mean, centred.T @ (weights[:, None] * centred))


def information_projection(
    log_density: Callable[[jax.Array], jax.Array],
    mean: jax.Array,
    covariance: jax.Array,
    *,
    nodes: int = 64,
    tol: jax.Array | float = 1e-9,
    max_iterations: int = 200,
) -> Gaussian:
    """A local minimum over Gaussians of KL(Gaussian ‖ target): what maximum-entropy control does; seeks a mode.

    The expectation under N(m, LLᵀ) is a Gauss-Hermite sum of nodes^d terms, exact for polynomials.

    Args:
      log_density: `x[d] -> []`, log density of the target, up to a constant.
      mean, covariance: `[d]`, `[d, d]`, where to start; several starts find several modes.
      nodes: quadrature points a dimension, static. tol, max_iterations: of the search.
    Source: Levine 2018, §5.2 (the direction of variational inference).
    """
    checks.rank("mean", mean, 1, "[d]")
    checks.finite("mean", mean)
    size = np.shape(mean)[0]
    checks.symmetric("covariance", covariance, (size, size), "[d, d]", smallest_eigenvalue=0.0)
    checks.elements("nodes", float(nodes) ** size, 1e6, "quadrature points")
    mean, covariance = checks.floating(mean, covariance)
    checks.output("log_density", log_density, (mean,), (), "a log density []")
    density, arrays = jax.closure_convert(log_density, mean)
    settings = (density, checks.count("nodes", nodes), checks.count("max_iterations", max_iterations))
    return _project(*settings, arrays, mean, covariance, jnp.asarray(tol, mean.dtype))


@functools.partial(jax.jit, static_argnums=(0, 1, 2))
def _project(
    density: Callable,
    nodes: int,
    max_iterations: int,
    arrays: list,
    mean: jax.Array,
    covariance: jax.Array,
    tol: jax.Array,
) -> Gaussian:
    size = mean.size
    start = jnp.concatenate([mean, jnp.linalg.cholesky(covariance)[np.tril_indices(size)]])
    objective = functools.partial(_reverse_kl, density, size, nodes)
    x, _ = minimise(objective, arrays, start, tol=tol, max_iterations=max_iterations)
    factor = _factor(x, size)
    return Gaussian(x[:size], factor @ factor.T)


def _reverse_kl(density: Callable, size: int, nodes: int, arrays: tuple, x: jax.Array) -> jax.Array:
    abscissae, weights = np.polynomial.hermite_e.hermegauss(nodes)
    grid = np.stack([axis.ravel() for axis in np.meshgrid(*[abscissae] * size, indexing="ij")], axis=-1)
    mass = np.prod(np.stack(np.meshgrid(*[weights / weights.sum()] * size, indexing="ij")), axis=0).ravel()
    factor = _factor(x, size)
    places = x[None, :size] + jnp.asarray(grid, x.dtype) @ factor.T
    expected = jnp.asarray(mass, x.dtype) @ jax.vmap(lambda place: density(place, *arrays))(places)
    return -jnp.sum(jnp.log(jnp.abs(jnp.diagonal(factor)))) - expected


def _factor(x: jax.Array, size: int) -> jax.Array:
    """The Cholesky factor that is packed behind the mean."""
    return jnp.zeros((size, size), x.dtype).at[np.tril_indices(size)].set(x[size:])
