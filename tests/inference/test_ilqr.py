"""Iterative LQR against the linear-quadratic solution, a blind optimiser and finite differences."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import minimize

from softrl import inference
from tests.inference.test_linear_quadratic import problem

START = np.array([np.pi - 0.3, 0.0])


def pendulum(x, u, gravity=9.8, dt=0.1):
    velocity = x[1] + dt * (gravity * jnp.sin(x[0]) + 3.0 * u[0] - 0.1 * x[1])
    return jnp.stack([x[0] + dt * velocity, velocity])


def swing_reward(x, u):
    return jnp.cos(x[0]) - 0.02 * x[1] ** 2 - 0.1 * u[0] ** 2


def test_on_a_linear_quadratic_model_it_is_solve_lqr():
    model, horizon, temperature = problem(41, 3, 2), 6, 0.3
    A, B, Q, R, W = (jnp.asarray(x) for x in model)
    result = inference.iterative_lqr(
        lambda x, u: A @ x + B @ u,
        lambda x, u: -0.5 * (x @ Q @ x + u @ R @ u),
        np.array([1.0, -1.0, 0.5]),
        np.ones((horizon, 2)),
        temperature=temperature,
        noise=W,
        final_reward_fn=lambda x: -0.5 * x @ Q @ x,
    )
    expected = inference.solve_lqr(model, temperature=temperature, horizon=horizon, terminal=Q)
    for name in ("P", "K", "Sigma"):
        np.testing.assert_allclose(getattr(result, name), getattr(expected, name), atol=1e-10)
    state = result.states[0]
    np.testing.assert_allclose(result.actions[0], -expected.K[0] @ state, atol=1e-10)
    np.testing.assert_allclose(result.c[0], -0.5 * state @ expected.P[0] @ state + expected.c[0], atol=1e-10)
    assert result.iterations <= 3


def test_a_swing_up_is_a_stationary_point_that_a_blind_optimiser_cannot_improve():
    result = inference.iterative_lqr(pendulum, swing_reward, START, np.zeros((25, 1)), temperature=0.1)
    assert result.gradient < 1e-6

    @jax.jit
    def loss(flat):
        step = lambda x, u: (pendulum(x, u), swing_reward(x, u))
        return -jnp.sum(jax.lax.scan(step, jnp.asarray(START), flat.reshape(25, 1))[1])

    np.testing.assert_allclose(result.total_reward, -loss(result.actions.ravel()), atol=1e-12)
    found = minimize(loss, np.asarray(result.actions).ravel() + 1e-3, jac=jax.grad(loss), method="BFGS")
    assert -found.fun <= result.total_reward + 1e-9
    assert -found.fun > -loss(np.zeros(25))


def test_derivatives_go_through_the_solution_to_what_the_model_closes_over():
    @jax.jit
    def first_action(gravity, weight):
        solution = inference.iterative_lqr(
            lambda x, u: pendulum(x, u, gravity),
            lambda x, u: weight * swing_reward(x, u) - 0.05 * u[0] ** 2,
            jnp.asarray([0.4, 0.0]),
            jnp.zeros((8, 1)),
            tol=1e-10,
        )
        return solution.actions[0, 0] + solution.K[0, 0, 0]

    at, step = (9.8, 1.0), 1e-3
    gradient = jax.grad(first_action, (0, 1))(*at)
    for index in range(2):
        move = [step if index == other else 0.0 for other in range(2)]
        ahead, behind = first_action(at[0] + move[0], at[1] + move[1]), first_action(at[0] - move[0], at[1] - move[1])
        np.testing.assert_allclose(gradient[index], (ahead - behind) / (2 * step), rtol=1e-4)  # step²


def test_starts_batch_by_vmap():
    starts = jnp.array([[0.3, 0.0], [-0.5, 0.2]])
    solve = lambda start: inference.iterative_lqr(pendulum, swing_reward, start, jnp.zeros((6, 1))).actions
    together = jax.vmap(solve)(starts)
    for index in range(2):
        np.testing.assert_allclose(together[index], solve(starts[index]), atol=1e-7)


def test_bad_shapes_are_named():
    with pytest.raises(ValueError, match=r"actions: .*\(3,\).*\[T, m\]"):
        inference.iterative_lqr(pendulum, swing_reward, START, np.zeros(3))
