"""Linear-Gaussian control against scipy's Riccati solver, dense conditioning, quadrature and its own policies."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import quad
from scipy.linalg import solve_discrete_are, solve_discrete_lyapunov

from softrl import inference
from tests.oracles import gaussian


def problem(seed, n, m, scale=0.9):
    rng = np.random.default_rng(seed)
    A = rng.normal(size=(n, n))
    A *= scale / np.abs(np.linalg.eigvals(A)).max()
    positive = lambda size, floor: (lambda x: x @ x.T / size + floor * np.eye(size))(rng.normal(size=(size, size)))
    return inference.LinearQuadratic(
        A, rng.normal(size=(n, m)), positive(n, 0.1), positive(m, 0.2), 0.05 * positive(n, 0.2)
    )


@pytest.mark.parametrize(("n", "m"), [(1, 1), (4, 2), (3, 4)])
def test_the_optimistic_solution_is_dense_gaussian_conditioning(n, m):
    model, horizon, temperature = problem(n, n, m, scale=1.1), 5, 0.3
    mean, covariance = np.linspace(1.0, -0.5, n), 0.2 * np.eye(n) + 0.05
    expected = gaussian.condition(model, mean, covariance, horizon, temperature)
    result = inference.lqr_marginals(model, mean, covariance, horizon=horizon, temperature=temperature)
    np.testing.assert_allclose(result.bound, expected.log_evidence, atol=1e-10)
    np.testing.assert_allclose(result.action_mean, expected.actions, atol=1e-10)
    np.testing.assert_allclose(result.state_mean, expected.states, atol=1e-10)
    for t in range(horizon):
        block = expected.actions_covariance[t * m : (t + 1) * m, t * m : (t + 1) * m]
        np.testing.assert_allclose(result.action_covariance[t], block, atol=1e-10)
        block = expected.states_covariance[t * n : (t + 1) * n, t * n : (t + 1) * n]
        np.testing.assert_allclose(result.state_covariance[t], block, atol=1e-10)


@pytest.mark.parametrize(("n", "m", "gamma"), [(1, 1, 0.95), (4, 2, 0.9), (12, 4, 1.0)])
def test_the_stationary_solution_is_scipys(n, m, gamma):
    model = problem(10 + n, n, m, scale=1.2)
    result = inference.solve_lqr(model, temperature=0.3, gamma=gamma)
    A, B, Q, R, _ = model
    expected = solve_discrete_are(np.sqrt(gamma) * A, np.sqrt(gamma) * B, Q, R)
    np.testing.assert_allclose(result.P, expected, rtol=1e-8, atol=1e-8)  # scipy's own residual is of that size
    np.testing.assert_allclose(result.K, np.linalg.solve(R + gamma * B.T @ result.P @ B, gamma * B.T @ result.P @ A))
    if gamma < 1:
        P, c = evaluate(model, result.K, result.Sigma, 0.3, gamma)
        np.testing.assert_allclose(result.P, P, rtol=1e-9)
        np.testing.assert_allclose(result.c, c, rtol=1e-9)


def evaluate(model, K, Sigma, temperature, gamma):
    """Soft value of u ~ N(−Kx, Σ) by Lyapunov's equation, which knows no Riccati."""
    A, B, Q, R, W = (np.asarray(x) for x in model)
    K, Sigma = np.asarray(K), np.asarray(Sigma)
    P = solve_discrete_lyapunov(np.sqrt(gamma) * (A - B @ K).T, Q + K.T @ R @ K)
    entropy = 0.5 * (len(Sigma) * np.log(2 * np.pi * np.e) + np.linalg.slogdet(Sigma)[1])
    spread = np.trace(R @ Sigma) + gamma * np.trace(P @ (W + B @ Sigma @ B.T))
    return P, (temperature * entropy - 0.5 * spread) / (1 - gamma)


def test_no_other_gaussian_policy_has_a_greater_soft_value():
    model, rng = problem(3, 3, 2), np.random.default_rng(0)
    result = inference.solve_lqr(model, temperature=0.3, gamma=0.9)
    for _ in range(20):
        factor = np.eye(2) + 0.2 * rng.normal(size=(2, 2))
        P, c = evaluate(
            model, result.K + 0.1 * rng.normal(size=(2, 3)), factor @ np.asarray(result.Sigma) @ factor.T, 0.3, 0.9
        )
        assert np.linalg.eigvalsh(P - np.asarray(result.P)).min() > 0
        assert c < result.c


@pytest.mark.parametrize("mode", ["variational", "optimistic"])
def test_one_backup_is_the_integral_it_stands_for(mode):
    a, b, q, r, w, temperature = 0.9, 0.5, 1.0, 0.1, 0.04, 0.2
    model = inference.LinearQuadratic(*(np.array([[x]]) for x in (a, b, q, r, w)))
    two = inference.solve_lqr(model, temperature=temperature, horizon=2, mode=mode)
    P, c = float(two.P[1, 0, 0]), float(two.c[1])
    x, deviation = 0.7, np.sqrt(w)

    def next_value(mean):
        density = lambda e: np.exp(-0.5 * e * e) / np.sqrt(2 * np.pi)
        value = lambda e: -0.5 * P * (mean + deviation * e) ** 2 + c
        if mode == "variational":
            return quad(lambda e: density(e) * value(e), -9, 9, epsabs=1e-12)[0]
        return temperature * np.log(quad(lambda e: density(e) * np.exp(value(e) / temperature), -9, 9, epsabs=1e-12)[0])

    score = lambda u: np.exp((-0.5 * (q * x * x + r * u * u) + next_value(a * x + b * u)) / temperature)
    expected = temperature * np.log(quad(score, -12, 10, epsabs=1e-10, points=[-1.0])[0])
    np.testing.assert_allclose(-0.5 * two.P[0, 0, 0] * x * x + two.c[0], expected, atol=1e-8)


def test_the_optimistic_stationary_solution_is_the_long_horizon_and_rates_add_up():
    model = problem(5, 3, 2, scale=1.1)
    for mode in ("optimistic", "variational"):
        stationary = inference.solve_lqr(model, temperature=0.2, mode=mode)
        long = inference.solve_lqr(model, temperature=0.2, mode=mode, horizon=200)
        np.testing.assert_allclose(stationary.P, long.P[0], rtol=1e-10)
        np.testing.assert_allclose(stationary.K, long.K[0], rtol=1e-8, atol=1e-10)
        np.testing.assert_allclose(stationary.c, long.c[0] - long.c[1], rtol=1e-9)


def test_without_noise_both_modes_are_one_and_with_it_only_the_optimistic_gain_knows_the_temperature():
    model = problem(6, 3, 2)
    solve = lambda model, mode, a: inference.solve_lqr(model, temperature=a, horizon=6, mode=mode)
    still = model._replace(W=np.zeros((3, 3)))
    for ours, theirs in zip(solve(still, "optimistic", 0.3), solve(still, "variational", 0.3), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-12)
    np.testing.assert_array_equal(solve(model, "variational", 0.1).K, solve(model, "variational", 2.0).K)
    assert np.abs(solve(model, "optimistic", 0.1).K - solve(model, "optimistic", 2.0).K).max() > 1e-3


def test_the_variational_bound_is_what_its_marginals_earn():
    model, horizon, temperature = problem(7, 3, 2), 6, 0.4
    mean, covariance = np.array([1.0, 0.0, -1.0]), 0.3 * np.eye(3)
    settings = {"horizon": horizon, "temperature": temperature, "mode": "variational"}
    result = inference.lqr_marginals(model, mean, covariance, **settings)
    Sigma = np.asarray(inference.solve_lqr(model, **settings).Sigma)
    second = lambda mean, covariance: np.asarray(covariance + mean[:, :, None] * mean[:, None, :])
    cost = np.sum(second(result.state_mean, result.state_covariance) * model.Q[None]) + np.sum(
        second(result.action_mean, result.action_covariance) * model.R[None]
    )
    entropy = 0.5 * np.sum(2 * np.log(2 * np.pi * np.e) + np.linalg.slogdet(Sigma)[1])
    np.testing.assert_allclose(result.bound, -0.5 * cost / temperature + entropy, atol=1e-10)
    evidence = inference.lqr_marginals(model, mean, covariance, horizon=horizon, temperature=temperature).bound
    assert evidence > result.bound


def test_gradients_are_symmetric_and_those_of_finite_differences():
    model = jax.tree.map(jnp.asarray, problem(8, 3, 2))
    for settings in ({"gamma": 0.9}, {"mode": "optimistic"}, {"horizon": 7, "mode": "optimistic"}):

        @jax.jit
        def value(model, temperature, settings=settings):
            solution = inference.solve_lqr(model, temperature=temperature, **settings)
            return jnp.sum(solution.P) + jnp.sum(solution.c) + jnp.sum(solution.Sigma)

        gradient, slope = jax.grad(value, (0, 1))(model, 0.3)
        np.testing.assert_allclose(gradient.Q, gradient.Q.T, atol=1e-12)
        step = 1e-6
        moved = lambda size: value(model._replace(B=model.B + size, R=model.R + size * jnp.eye(2)), 0.3 + size)
        expected = (moved(step) - moved(-step)) / (2 * step)
        np.testing.assert_allclose(jnp.sum(gradient.B) + jnp.trace(gradient.R) + slope, expected, rtol=1e-6)


def test_temperatures_and_problems_batch_by_vmap():
    models = [problem(seed, 2, 1) for seed in range(3)]
    stacked = jax.tree.map(lambda *x: jnp.stack(x), *models)
    temperatures = jnp.array([0.1, 1.0, 3.0])
    solve = lambda model, a: inference.solve_lqr(model, temperature=a, mode="optimistic")
    together = jax.vmap(solve)(stacked, temperatures)
    for index in range(3):
        for ours, theirs in zip(together, solve(models[index], temperatures[index]), strict=True):
            np.testing.assert_allclose(ours[index], theirs, rtol=1e-10)


def test_a_discount_in_the_optimistic_mode_is_refused_with_the_reason():
    with pytest.raises(ValueError, match=r"gamma: got 0.9.*not quadratic"):
        inference.solve_lqr(problem(0, 2, 1), gamma=0.9, mode="optimistic")
    with pytest.raises(ValueError, match=r"R: .*\(1, 1\).*positive definite"):
        inference.solve_lqr(problem(0, 2, 1)._replace(R=np.array([[-1.0]])))
    with pytest.raises(ValueError, match=r"A: .*\(2, 3\).*\[n, n\]"):
        inference.solve_lqr(problem(0, 2, 1)._replace(A=np.zeros((2, 3))))


ONE, TWO = np.eye(1), np.eye(2)
UNREACHABLE = inference.LinearQuadratic(np.diag([1.2, 0.5]), np.array([[0.0], [1.0]]), TWO, ONE, 0 * TWO)

WITHOUT_A_SOLUTION = [
    (UNREACHABLE, {}, "within reach of B"),
    (UNREACHABLE, {"mode": "optimistic"}, "within reach of B"),
    (inference.LinearQuadratic(ONE, 0 * ONE, ONE, ONE, ONE), {}, "within reach of B"),  # drifts, adding one a step
    (inference.LinearQuadratic(ONE, ONE, -5 * ONE, ONE, ONE), {}, "negative eigenvalues"),
    (inference.LinearQuadratic(ONE, ONE, -5 * ONE, ONE, ONE), {"horizon": 4}, "R \\+ gamma B'PB"),
    # Two directions in which the noise pays more than it costs: the determinant alone would not tell.
    (
        inference.LinearQuadratic(TWO / 2, TWO, -5 * TWO, 100 * TWO, TWO),
        {"horizon": 3, "mode": "optimistic"},
        "I \\+ W P",
    ),
]


@pytest.mark.parametrize(("model", "settings", "reason"), WITHOUT_A_SOLUTION)
def test_without_a_finite_solution_it_says_why_and_never_returns_a_number(model, settings, reason):
    with pytest.raises(ValueError, match=f"problem: .*{reason}"):
        inference.solve_lqr(model, **settings)
    traced = jax.jit(lambda model: inference.solve_lqr(model, **settings))(model)
    assert np.isnan(np.asarray(traced.c).ravel()[0])
    assert np.isnan(np.asarray(traced.P)).any()


def test_a_spread_start_that_pays_more_than_it_costs_is_refused():
    model = inference.LinearQuadratic(ONE, ONE, -ONE, 100 * ONE, 0 * ONE)
    with pytest.raises(ValueError, match="initial_covariance"):
        inference.lqr_marginals(model, np.zeros(1), 5 * ONE, horizon=1)
    assert np.isfinite(inference.lqr_marginals(model, np.zeros(1), 0.5 * ONE, horizon=1).bound)


@pytest.mark.parametrize("growth", [0.5, 1.0, 1.5])
def test_a_mode_that_costs_nothing_does_no_harm_to_the_others(growth):
    model = inference.LinearQuadratic(np.diag([growth, 0.9]), np.ones((2, 1)), np.diag([0.0, 1.0]), ONE, 0.1 * TWO)
    stationary = inference.solve_lqr(model)
    np.testing.assert_allclose(stationary.P, inference.solve_lqr(model, horizon=300).P[0], atol=1e-12)
    gradient = jax.grad(lambda model: inference.solve_lqr(model).c)(jax.tree.map(jnp.asarray, model))
    assert all(np.isfinite(leaf).all() for leaf in gradient)


def test_no_discount_left_is_one_step_and_has_a_slope():
    model = problem(8, 2, 1)
    np.testing.assert_allclose(inference.solve_lqr(model, gamma=0.0).P, model.Q)
    value = lambda gamma: jnp.sum(inference.solve_lqr(model, gamma=gamma).P)
    np.testing.assert_allclose(jax.grad(value)(0.0), (value(1e-6) - value(0.0)) / 1e-6, rtol=1e-4)


def test_a_bad_terminal_matrix_is_refused():
    model = problem(9, 2, 1)
    for terminal, reason in ((np.nan * TWO, "finite"), (np.triu(np.ones((2, 2))), "symmetric"), (ONE, "n, n")):
        with pytest.raises(ValueError, match=f"terminal: .*{reason}"):
            inference.solve_lqr(model, horizon=2, terminal=terminal)
