"""Path-integral control: the posterior over open-loop actions by weighted samples (MPPI), for any simulator."""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.linalg import cho_solve

from softrl.inference import checks

PyTree = jax.Array | tuple | list | dict | None


class MPPIInfo(NamedTuple):
    """effective_sample_size: `[]`, 1 / Σ w² of the normalised weights, at most K; below some ten, distrust the update.

    free_energy: `[]`, importance-sampled estimate of −λ log E_{u ~ N(0, Σ)} exp(−S/λ), in units of reward.
    mean_cost: `[]`, of the finite samples.
    """

    effective_sample_size: jax.Array
    free_energy: jax.Array
    mean_cost: jax.Array


def mppi_update(
    key: jax.Array,
    step_fn: Callable,
    initial_state: PyTree,
    actions: jax.Array,
    *,
    covariance: jax.Array,
    temperature: jax.Array | float = 1.0,
    num_samples: int = 256,
) -> tuple[jax.Array, MPPIInfo]:
    """One update of the open-loop plan, ū ← ū + Σ_k w_k ε_k.

    ε_k ~ N(0, Σ) at each step, S_k = −Σ_t reward under u = ū + ε_k, and
    w_k ∝ exp(−(S_k + λ Σ_t ū_tᵀ Σ⁻¹ ε_kt) / λ).
    The second term is the importance weight from N(ū, Σ) back to N(0, Σ): with it every ū is moved to the mean of the
    same posterior p(u) exp(−S/λ), p = N(0, Σ); without it the answer would depend on where one starts.

    Args:
      step_fn: `(state, action[m]) -> (state, reward[])`, any pytree of a state: a simulator, a learned model.
      initial_state: what `step_fn` takes. actions: `[T, m]`, ū.
      covariance: `[m, m]`, Σ, positive definite, of the passive (prior) actions.
      temperature: λ > 0, in units of reward. num_samples: K, static.
    Returns:
      `[T, m]` and `MPPIInfo`. Samples whose cost is not finite have weight 0; when none is left the plan is kept.
    Source: Williams et al. 2017, arXiv:1707.02342; Kappen 2005; Levine 2018, §2.3 with deterministic dynamics.
    """
    actions, covariance, temperature = _validate(actions, covariance, temperature)
    reward_of = functools.partial(_reward, step_fn)
    checks.output("step_fn", reward_of, (initial_state, actions[0]), (), "(state, reward []), the reward")
    num_samples = checks.count("num_samples", num_samples)
    factor = jnp.linalg.cholesky(covariance)
    noise = jax.random.normal(key, (num_samples, *actions.shape), actions.dtype) @ factor.T
    costs = jax.vmap(lambda epsilon: _cost(step_fn, initial_state, actions + epsilon))(noise).astype(actions.dtype)
    pull = cho_solve((factor, True), actions.T).T  # Σ⁻¹ ū, `[T, m]`
    finite = jnp.isfinite(costs)
    drift = jnp.einsum("tm,ktm->k", pull, noise, precision=jax.lax.Precision.HIGHEST)
    log_weights = jnp.where(finite, -jnp.where(finite, costs, 0.0) / temperature - drift, -jnp.inf)
    any_left = jnp.any(finite)
    weights = jnp.where(any_left, jax.nn.softmax(jnp.where(any_left, log_weights, 0.0)), 0.0)
    log_mean = jax.nn.logsumexp(jnp.where(any_left, log_weights, 0.0)) - jnp.log(num_samples)
    energy = temperature * (0.5 * jnp.sum(pull * actions) - log_mean)
    info = MPPIInfo(
        effective_sample_size=jnp.where(any_left, 1 / jnp.maximum(jnp.sum(weights**2), 1 / num_samples), 0.0),
        free_energy=jnp.where(any_left, energy, jnp.inf),
        mean_cost=jnp.sum(jnp.where(finite, costs, 0.0)) / jnp.maximum(jnp.sum(finite), 1),
    )
    return actions + jnp.einsum("k,ktm->tm", weights, noise, precision=jax.lax.Precision.HIGHEST), info


def mppi_plan(
    key: jax.Array,
    step_fn: Callable,
    initial_state: PyTree,
    actions: jax.Array,
    *,
    covariance: jax.Array,
    temperature: jax.Array | float = 1.0,
    num_samples: int = 256,
    iterations: int = 8,
) -> tuple[jax.Array, MPPIInfo]:
    """Several `mppi_update`s in one compiled loop; each samples around the last plan, which raises the sample size.

    Args: as in `mppi_update`; iterations: static.
    Returns:
      `[T, m]`, and `MPPIInfo` of every iteration, `[iterations]` each.
    """
    actions, covariance, temperature = _validate(actions, covariance, temperature)
    iterations = checks.count("iterations", iterations)
    settings = {"covariance": covariance, "temperature": temperature, "num_samples": num_samples}

    def step(actions: jax.Array, index: jax.Array) -> tuple[jax.Array, MPPIInfo]:
        return mppi_update(jax.random.fold_in(key, index), step_fn, initial_state, actions, **settings)

    return jax.lax.scan(step, actions, jnp.arange(iterations))


def free_energy(costs: jax.Array, *, temperature: jax.Array | float = 1.0) -> jax.Array:
    """−λ log (1/K) Σ_k exp(−S_k/λ) of samples from the passive dynamics: the optimal expected cost plus λ KL.

    Args: costs: `[K]`, S, in units of reward. temperature: λ > 0.
    Returns: `[]`; at K samples an estimate that is too high on average.
    Source: Kappen 2005; Theodorou and Todorov 2012 (free energy and relative entropy dualities).
    """
    checks.positive("temperature", temperature)
    checks.rank("costs", costs, 1, "[K] with at least one sample")
    if (known := checks.known(costs)) is not None and np.isnan(known).any():
        checks.fail("costs", costs, "numbers (infinity for a sample that failed)")
    (costs,) = checks.floating(costs)
    return temperature * (jnp.log(costs.size) - jax.nn.logsumexp(-costs / temperature))


def _reward(step_fn: Callable, state: PyTree, action: jax.Array) -> PyTree:
    result = step_fn(state, action)
    return result[1] if isinstance(result, tuple | list) and len(result) == 2 else (result,)


def _cost(step_fn: Callable, state: PyTree, actions: jax.Array) -> jax.Array:
    _, rewards = jax.lax.scan(lambda state, action: step_fn(state, action), state, actions)
    return -jnp.sum(rewards)


def _validate(actions: jax.Array, covariance: jax.Array, temperature: jax.Array | float) -> tuple:
    checks.rank("actions", actions, 2, "[T, m] with T and m at least 1")
    checks.finite("actions", actions)
    m = np.shape(actions)[1]
    checks.symmetric("covariance", covariance, (m, m), "[m, m] to go with actions [T, m]", smallest_eigenvalue=0.0)
    actions, covariance = checks.floating(actions, covariance)
    return actions, covariance, *checks.positives(actions.dtype, temperature=temperature)
