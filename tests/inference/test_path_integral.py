"""MPPI against the Gaussian posterior that it samples, and on simulators."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from softrl import inference

A, B, Q = np.array([[1.0, 0.1], [0.0, 1.0]]), np.array([[0.005], [0.1]]), np.diag([1.0, 0.1])
HORIZON, TEMPERATURE, VARIANCE, START = 10, 0.5, 1.5, np.array([1.0, 0.0])
COVARIANCE = np.array([[VARIANCE]])


def step(state, action):
    state = jnp.asarray(A) @ state + jnp.asarray(B) @ action
    return state, -0.5 * state @ jnp.asarray(Q) @ state


def posterior():
    """Mean and covariance of all actions, and the free energy, by conditioning one Gaussian."""
    powers = [np.linalg.matrix_power(A, k) for k in range(HORIZON + 1)]
    free = np.concatenate([powers[t + 1] @ START for t in range(HORIZON)])
    forced = np.block(
        [[powers[i - j] @ B if j <= i else np.zeros((2, 1)) for j in range(HORIZON)] for i in range(HORIZON)]
    )
    weight = np.kron(np.eye(HORIZON), Q)
    precision = np.eye(HORIZON) / VARIANCE + forced.T @ weight @ forced / TEMPERATURE
    linear = -forced.T @ weight @ free / TEMPERATURE
    mean = np.linalg.solve(precision, linear)
    volume = np.linalg.slogdet(precision)[1] + HORIZON * np.log(VARIANCE)
    energy = 0.5 * free @ weight @ free - 0.5 * TEMPERATURE * linear @ mean + 0.5 * TEMPERATURE * volume
    return mean, np.linalg.inv(precision), energy


@pytest.mark.parametrize("scale", [0.0, 0.5, 1.0])
def test_one_update_from_any_plan_lands_on_the_posterior_mean(scale):
    mean, covariance, energy = posterior()
    plan = scale * mean[:, None]
    update = jax.jit(
        lambda key: inference.mppi_update(
            key, step, START, plan, covariance=COVARIANCE, temperature=TEMPERATURE, num_samples=100_000
        )
    )
    actions, info = update(jax.random.key(0))
    # Five standard errors of a weighted mean of so many effective samples.
    error = 5 * np.sqrt(np.diag(covariance) / info.effective_sample_size)
    assert np.all(np.abs(actions[:, 0] - mean) < error)
    np.testing.assert_allclose(info.free_energy, energy, atol=0.02)
    assert 1_000 < info.effective_sample_size <= 100_000


def test_the_free_energy_is_the_soft_value_of_the_linear_quadratic_problem():
    _, covariance, energy = posterior()
    model = inference.LinearQuadratic(A, B, Q, TEMPERATURE * np.linalg.inv(COVARIANCE), np.zeros((2, 2)))
    solution = inference.solve_lqr(model, temperature=TEMPERATURE, horizon=HORIZON, terminal=Q)
    value = -0.5 * START @ solution.P[0] @ START + solution.c[0] + 0.5 * START @ Q @ START
    normaliser = 0.5 * HORIZON * TEMPERATURE * np.log(2 * np.pi * VARIANCE)
    np.testing.assert_allclose(-energy, value - normaliser, atol=1e-10)
    np.testing.assert_allclose(solution.Sigma[0, 0, 0], covariance[0, 0], atol=1e-10)
    costs = jnp.array([1.0, 2.0, 4.0])
    expected = -0.5 * np.log(np.mean(np.exp(-np.array(costs) / 0.5)))
    np.testing.assert_allclose(inference.free_energy(costs, temperature=0.5), expected)


def test_a_plan_of_several_updates_raises_the_effective_sample_size():
    mean, covariance, _ = posterior()
    actions, info = inference.mppi_plan(
        jax.random.key(1),
        step,
        START,
        np.zeros((HORIZON, 1)),
        covariance=COVARIANCE,
        temperature=TEMPERATURE,
        num_samples=4096,
        iterations=4,
    )
    assert info.effective_sample_size[-1] > info.effective_sample_size[0]
    error = 5 * np.sqrt(np.diag(covariance) / info.effective_sample_size[-1])
    assert np.all(np.abs(actions[:, 0] - mean) < error)


def test_samples_that_break_the_simulator_are_left_out_and_a_broken_one_keeps_the_plan():
    plan = np.full((3, 1), 0.2)
    settings = {"covariance": COVARIANCE, "temperature": 1.0, "num_samples": 512}
    breaks = lambda state, action: (state, jnp.where(action[0] > 0.5, jnp.nan, -(action[0] ** 2)))
    actions, info = inference.mppi_update(jax.random.key(2), breaks, START, plan, **settings)
    assert np.isfinite(actions).all()
    assert 0 < info.effective_sample_size < 512
    dead = lambda state, action: (state, jnp.nan * action[0])
    actions, info = inference.mppi_update(jax.random.key(2), dead, START, plan, **settings)
    np.testing.assert_array_equal(actions, plan)
    assert info.effective_sample_size == 0


def test_it_differentiates_and_batches():
    def loss(start, key):
        actions, _ = inference.mppi_update(
            key, step, start, jnp.zeros((4, 1)), covariance=COVARIANCE, temperature=TEMPERATURE, num_samples=64
        )
        return jnp.sum(actions**2)

    gradients = jax.vmap(jax.grad(loss))(jnp.ones((3, 2)), jax.random.split(jax.random.key(0), 3))
    assert gradients.shape == (3, 2)
    assert np.isfinite(gradients).all()


@pytest.mark.slow
def test_it_plans_in_a_brax_environment():
    envs = pytest.importorskip("brax.envs")
    with jax.enable_x64(False):
        env = envs.create("inverted_pendulum", backend="generalized", episode_length=1000)
        start = jax.jit(env.reset)(jax.random.key(0))

        def brax_step(state, action):
            state = env.step(state, action)
            return state, state.reward

        plan = jax.jit(
            lambda key: inference.mppi_plan(
                key,
                brax_step,
                start,
                jnp.zeros((8, env.action_size)),
                covariance=jnp.eye(env.action_size),
                temperature=0.1,
                num_samples=32,
                iterations=2,
            )
        )
        actions, info = plan(jax.random.key(1))
    assert np.isfinite(actions).all()
    assert np.all(info.effective_sample_size >= 1)
