"""Linear-Gaussian control with a quadratic reward: messages are quadratics, policies Gaussians."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.linalg import cho_solve

from softrl.inference import checks
from softrl.inference.riccati import discrete_riccati, symmetric

ROUNDED_ZERO = -1e-6
"""A covariance may be singular: its smallest eigenvalue lies above this part of its greatest entry."""
NO_LIMIT = (
    "every mode of sqrt(gamma) A that does not decay to be within reach of B (or of W, in the optimistic mode) and "
    "seen by Q, and no negative eigenvalues of Q; or a horizon"
)
INFINITE = (
    "Q (and terminal) without eigenvalues so negative that R + gamma B'PB is no longer positive definite (or, in the "
    "optimistic mode, that I + W P/temperature has an eigenvalue of 0 or less)"
)


class LinearQuadratic(NamedTuple):
    """x′ = A x + B u + w, w ~ N(0, W), with reward r(x, u) = −½ (xᵀQx + uᵀRu) and the Lebesgue measure on actions.

    A: `[n, n]`. B: `[n, m]`. Q: `[n, n]` symmetric. R: `[m, m]` positive definite. W: `[n, n]` covariance, may be
    singular or zero.
    """

    A: jax.Array
    B: jax.Array
    Q: jax.Array
    R: jax.Array
    W: jax.Array


class LQRSolution(NamedTuple):
    """V(x) = −½ xᵀPx + c and π(u|x) = N(−K x, Σ); with a leading axis T where the horizon is finite.

    P: `[n, n]`. c: `[]`. K: `[m, n]`. Sigma: `[m, m]`. Rewards and V share a unit.
    """

    P: jax.Array
    c: jax.Array
    K: jax.Array
    Sigma: jax.Array


class LQRMarginals(NamedTuple):
    """Gaussian marginals along the horizon.

    state_mean: `[T, n]`. state_covariance: `[T, n, n]`. action_mean: `[T, m]`. action_covariance: `[T, m, m]`.
    cross_covariance: `[T, n, m]`, of state with action.
    bound: `[]`, nats: the log evidence (optimistic), or the evidence lower bound of the variational policy.
    """

    state_mean: jax.Array
    state_covariance: jax.Array
    action_mean: jax.Array
    action_covariance: jax.Array
    cross_covariance: jax.Array
    bound: jax.Array


def solve_lqr(
    problem: LinearQuadratic,
    *,
    temperature: jax.Array | float = 1.0,
    horizon: int | None = None,
    gamma: jax.Array | float = 1.0,
    mode: str = "variational",
    terminal: jax.Array | None = None,
) -> LQRSolution:
    """Backward messages of a linear-Gaussian model.

    variational: P̃ = P,                  c̃ = c − ½ tr(P W);
    optimistic:  P̃ = P (I + W P/α)⁻¹,    c̃ = c − ½ α log det(I + W P/α), risk-seeking control;
    Q_uu = R + γ BᵀP̃B,  K = γ Q_uu⁻¹ BᵀP̃A,  Σ = α Q_uu⁻¹,  P ← Q + γ AᵀP̃(A − B K),
    c ← γ c̃ + ½ α (m log 2πα − log det Q_uu).

    Args:
      temperature: α > 0, in units of reward.
      horizon: T ≥ 1 actions, static. None: the stationary solution, by structured doubling.
      gamma: γ in [0, 1]; must be the number 1 in the optimistic mode, where no discount keeps values quadratic.
      terminal: `[n, n]` symmetric, V_T(x) = −½ xᵀ terminal x; None: 0. Finite horizons only.
    Returns:
      `LQRSolution`. Without a horizon and with γ = 1 no finite c exists; c is then the average soft reward a step.
    Raises:
      ValueError: bad arrays or settings, or no finite solution: a Q_uu or I + WP/α that is not positive (an indefinite
        Q), or no horizon and a mode that neither decays nor can be reached by B (optimistic: or by W). Under a
        transformation, where values are not known, the solution is NaN instead.
    Source: Levine 2018, arXiv:1805.00909, §2.3, §3.1 with Gaussians; Whittle 1981 (risk-sensitive control); Chu, Fan
      and Lin 2005 (structured doubling).
    """
    checks.choice("mode", mode, checks.MODES)
    checks.between("gamma", gamma, 0.0, 1.0, closed=True)
    if mode == "optimistic" and checks.known(gamma) != 1.0:  # a traced one is not known
        checks.fail(
            "gamma",
            gamma,
            "the number 1 in the optimistic mode: a log-expectation with a discount is not "
            "quadratic; put the discount into the model or use mode='variational'",
        )
    problem = _validate(problem)
    dtype = problem.A.dtype
    (temperature,) = checks.positives(dtype, temperature=temperature)
    gamma = jnp.asarray(gamma, dtype)
    if horizon is None:
        if terminal is not None:
            checks.fail("terminal", terminal, "None without a horizon")
        solution = _stationary(problem, temperature, gamma, mode)
        checks.exists("problem", solution, NO_LIMIT)
        return solution
    terminal = jnp.zeros_like(problem.Q) if terminal is None else terminal
    checks.symmetric("terminal", terminal, problem.Q.shape, "[n, n]")
    terminal, horizon = symmetric(jnp.asarray(terminal, dtype)), checks.count("horizon", horizon)
    solution = _finite(problem, temperature, gamma, terminal, horizon, mode)
    checks.exists("problem", solution, INFINITE)
    return solution


def lqr_marginals(
    problem: LinearQuadratic,
    initial_mean: jax.Array,
    initial_covariance: jax.Array | None = None,
    *,
    horizon: int,
    temperature: jax.Array | float = 1.0,
    mode: str = "optimistic",
    terminal: jax.Array | None = None,
) -> LQRMarginals:
    """Distributions of states and actions: the exact posterior (optimistic) or the optimal policy's (variational).

    The posterior tilts the start and the noise as well as the actions:
    x₁ ~ N((I + S P₁/α)⁻¹ m, (I + S P₁/α)⁻¹ S),  x′ ~ N((I + W P/α)⁻¹ (A x + B u), (I + W P/α)⁻¹ W).

    Args:
      initial_mean: `[n]`, m. initial_covariance: `[n, n]`, S; None: a point.
      Other arguments as in `solve_lqr`, without a discount.
    Source: Levine 2018, §2.3; Gaussian conditioning.
    """
    solution = solve_lqr(problem, temperature=temperature, horizon=horizon, mode=mode, terminal=terminal)
    problem = _validate(problem)
    size, dtype = problem.A.shape[0], problem.A.dtype
    checks.shape("initial_mean", initial_mean, (size,), "[n]")
    if initial_covariance is None:
        initial_covariance = jnp.zeros((size, size), dtype)
    checks.symmetric("initial_covariance", initial_covariance, (size, size), "[n, n]", smallest_eigenvalue=ROUNDED_ZERO)
    start = (jnp.asarray(initial_mean, dtype), jnp.asarray(initial_covariance, dtype))
    marginals = _marginals(problem, solution, start, jnp.asarray(temperature, dtype), mode)
    checks.exists("problem", marginals, INFINITE + "; likewise with initial_covariance for W")
    return marginals


@functools.partial(jax.jit, static_argnames=("horizon", "mode"))
def _finite(
    problem: LinearQuadratic, temperature: jax.Array, gamma: jax.Array, terminal: jax.Array, horizon: int, mode: str
) -> LQRSolution:
    def step(value: tuple, _: None) -> tuple[tuple, LQRSolution]:
        solution = _riccati_step(problem, *value, temperature, gamma, mode)
        return (solution.P, solution.c), solution

    end = (terminal, jnp.zeros((), terminal.dtype))
    return jax.lax.scan(step, end, length=horizon, reverse=True)[1]


@functools.partial(jax.jit, static_argnames="mode")
def _stationary(problem: LinearQuadratic, temperature: jax.Array, gamma: jax.Array, mode: str) -> LQRSolution:
    # The optimistic equation is the same one with the noise as a second actuator: (P⁻¹ + W/α + B R⁻¹ Bᵀ)⁻¹.
    actuation = gamma * problem.B @ jnp.linalg.solve(problem.R, problem.B.T)
    if mode == "optimistic":
        actuation += problem.W / temperature
    # The root has no slope at γ = 0; what γ does there it does in the step below.
    root = jnp.where(gamma > 0, jnp.sqrt(jnp.where(gamma > 0, gamma, 1.0)), 0.0)
    P = discrete_riccati(root * problem.A, actuation, problem.Q)
    solution = _riccati_step(problem, P, jnp.zeros((), P.dtype), temperature, gamma, mode)
    return solution._replace(c=solution.c / jnp.where(gamma < 1, 1 - gamma, 1.0))


def _riccati_step(
    problem: LinearQuadratic, P: jax.Array, c: jax.Array, temperature: jax.Array, gamma: jax.Array, mode: str
) -> LQRSolution:
    A, B, Q, R, W = problem
    if mode == "optimistic":
        log_det = _log_det_of_tilt(W, P, temperature)
        c = c - 0.5 * temperature * log_det
        P = symmetric(jnp.linalg.solve(_tilt_matrix(P, W, temperature), P))
        P = jnp.where(jnp.isnan(log_det), jnp.nan, P)
    else:
        c = c - 0.5 * jnp.sum(P * W)
    # A Cholesky factor that does not exist, because the value is infinite, is NaN.
    factor = jnp.linalg.cholesky(symmetric(R + gamma * B.T @ P @ B))
    inverse = cho_solve((factor, True), jnp.eye(B.shape[1], dtype=B.dtype))
    K = gamma * cho_solve((factor, True), B.T @ P @ A)
    log_volume = B.shape[1] * jnp.log(2 * jnp.pi * temperature) - 2 * jnp.sum(jnp.log(jnp.diagonal(factor)))
    return LQRSolution(
        P=symmetric(Q + gamma * A.T @ P @ (A - B @ K)),
        c=gamma * c + 0.5 * temperature * log_volume,
        K=K,
        Sigma=temperature * symmetric(inverse),
    )


@functools.partial(jax.jit, static_argnames="mode")
def _marginals(
    problem: LinearQuadratic, solution: LQRSolution, start: tuple, temperature: jax.Array, mode: str
) -> LQRMarginals:
    mean, covariance = start
    first, value = solution.P[0], solution.c[0] / temperature
    if mode == "optimistic":
        tilt = _tilt_matrix(covariance, first, temperature)
        tilted = jnp.linalg.solve(tilt, mean)
        log_det = _log_det_of_tilt(covariance, first, temperature)
        bound = value - 0.5 * mean @ first @ tilted / temperature - 0.5 * log_det
        start = (tilted, symmetric(jnp.linalg.solve(tilt, covariance)))
    else:
        bound = value - 0.5 * (mean @ first @ mean + jnp.sum(first * covariance)) / temperature

    def step(now: tuple, law: tuple) -> tuple[tuple, tuple]:
        mean, covariance = now
        K, Sigma, next_P = law
        cross = -covariance @ K.T
        action = (-K @ mean, symmetric(K @ covariance @ K.T + Sigma))
        closed = problem.A - problem.B @ K
        noise = problem.W
        next_mean, spread = closed @ mean, closed @ covariance @ closed.T + problem.B @ Sigma @ problem.B.T
        if mode == "optimistic":
            tilt = _tilt_matrix(problem.W, next_P, temperature)
            next_mean, noise = jnp.linalg.solve(tilt, next_mean), jnp.linalg.solve(tilt, noise)
            spread = jnp.linalg.solve(tilt, jnp.linalg.solve(tilt, spread).T)
        return (next_mean, symmetric(spread + noise)), (*now, *action, cross)

    following = jnp.concatenate([solution.P[1:], solution.P[-1:]])  # the last one is not used
    _, marginals = jax.lax.scan(step, start, (solution.K, solution.Sigma, following))
    return LQRMarginals(*marginals, bound)


def _tilt_matrix(left: jax.Array, right: jax.Array, temperature: jax.Array) -> jax.Array:
    return jnp.eye(left.shape[0], dtype=left.dtype) + left @ right / temperature


def _log_det_of_tilt(covariance: jax.Array, P: jax.Array, temperature: jax.Array) -> jax.Array:
    """log det(I + S P/α); NaN where ½ xᵀPx/α outweighs the Gaussian, so that its expectation is infinite."""
    eigenvalues, vectors = jnp.linalg.eigh(jax.lax.stop_gradient(covariance))
    root = vectors * jnp.sqrt(jnp.maximum(eigenvalues, 0.0))[None]
    proper = jnp.isfinite(jnp.linalg.cholesky(jax.lax.stop_gradient(_tilt_matrix(root.T @ P, root, temperature)))).all()
    return jnp.where(proper, jnp.linalg.slogdet(_tilt_matrix(covariance, P, temperature))[1], jnp.nan)


def _validate(problem: LinearQuadratic) -> LinearQuadratic:
    checks.rank("B", problem.B, 2, "[n, m] with at least one state and one action")
    n, m = np.shape(problem.B)
    checks.finite("B", problem.B)
    checks.finite("A", problem.A, (n, n), "[n, n] to go with B [n, m]")
    checks.symmetric("Q", problem.Q, (n, n), "[n, n] to go with B [n, m]")
    checks.symmetric("R", problem.R, (m, m), "[m, m] to go with B [n, m]", smallest_eigenvalue=0.0)
    checks.symmetric("W", problem.W, (n, n), "[n, n]", smallest_eigenvalue=ROUNDED_ZERO)
    A, B, Q, R, W = checks.floating(*problem)
    # A derivative with respect to one entry of a symmetric matrix moves both.
    return LinearQuadratic(A, B, symmetric(Q), symmetric(R), symmetric(W))
