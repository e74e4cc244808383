"""Expectation-maximisation relatives against constrained optimisers, monotonicity and quadrature."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import minimize, minimize_scalar
from scipy.special import logsumexp
from scipy.stats import norm

from softrl import inference


def random_case(seed, states=3, actions=4):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(states, actions)), np.log(rng.dirichlet(np.ones(actions), states))


def test_the_e_step_is_the_constrained_optimum_that_a_blind_optimiser_finds():
    advantage, log_policy = random_case(0)
    result = inference.mpo_e_step(advantage, log_policy, epsilon=0.1)
    normalise = lambda x: (y := x.reshape(3, 4)) - logsumexp(y, axis=1, keepdims=True)
    divergence = lambda x: np.mean(np.sum(np.exp(normalise(x)) * (normalise(x) - log_policy), axis=1))
    found = minimize(
        lambda x: -np.mean(np.sum(np.exp(normalise(x)) * advantage, axis=1)),
        log_policy.ravel(),
        constraints=[{"type": "ineq", "fun": lambda x: 0.1 - divergence(x)}],
        method="SLSQP",
        options={"ftol": 1e-13, "maxiter": 300},
    )
    np.testing.assert_allclose(result.dual, -found.fun, atol=1e-7)
    np.testing.assert_allclose(result.kl, 0.1, atol=1e-10)
    np.testing.assert_allclose(np.exp(result.log_policy), np.exp(normalise(found.x)), atol=1e-3)  # flat optimum


def test_its_temperature_minimises_the_dual():
    advantage, log_policy = random_case(1)
    result = inference.mpo_e_step(advantage, log_policy, epsilon=0.3)
    dual = lambda eta: float(inference.reps_dual(eta, advantage, log_policy, epsilon=0.3))
    found = minimize_scalar(lambda x: dual(np.exp(x)), bounds=(-4, 4), method="bounded", options={"xatol": 1e-10})
    np.testing.assert_allclose(result.temperature, np.exp(found.x), rtol=1e-5)
    np.testing.assert_allclose(
        jax.grad(inference.reps_dual)(result.temperature, advantage, log_policy, epsilon=0.3), 0.0, atol=1e-9
    )


def test_derivatives_of_the_e_step_are_those_of_finite_differences_and_finite_at_its_corners():
    advantage, log_policy = (jnp.asarray(x) for x in random_case(2))
    policy = jax.jit(
        lambda size: inference.mpo_e_step(advantage + size * advantage**2, log_policy, epsilon=0.2).log_policy
    )
    expected = (policy(1e-5) - policy(-1e-5)) / 2e-5
    np.testing.assert_allclose(jax.jacobian(policy)(0.0), expected, atol=1e-6)
    hard = jnp.log(jnp.array([[0.5, 0.5, 0.0]]))
    step = jax.jit(lambda x, epsilon: inference.mpo_e_step(x, hard, epsilon=epsilon))
    slope = jax.jit(jax.grad(lambda x, epsilon: inference.mpo_e_step(x, hard, epsilon=epsilon).dual))
    for scale, epsilon in ((0.0, 0.1), (1.0, 50.0), (1.0, 0.1)):
        x = scale * jnp.array([[1.0, 2.0, 3.0]])
        result = step(x, epsilon)
        assert result.kl <= epsilon + 1e-9
        assert result.log_policy[0, 2] == -np.inf
        assert np.isfinite(slope(x, epsilon)).all()


def test_every_em_step_raises_the_expected_reward():
    rng = np.random.default_rng(3)
    rewards, log_policy, returns = rng.uniform(0, 1, 5), np.log(rng.dirichlet(np.ones(5))), []
    for _ in range(30):
        returns.append(float(np.exp(log_policy) @ rewards))
        log_policy = inference.em_policy_step(log_policy, rewards)
    assert np.all(np.diff(returns) >= 0)
    assert returns[-1] > 0.9 * rewards.max()
    exponentiated = np.exp(inference.em_policy_step(np.log(np.full(5, 0.2)), rewards, temperature=0.5))
    np.testing.assert_allclose(exponentiated, np.exp(rewards / 0.5) / np.exp(rewards / 0.5).sum())
    np.testing.assert_allclose(inference.rwr_weights(rewards), rewards / rewards.sum())
    np.testing.assert_allclose(inference.rwr_weights(np.array([0.0, 1.0])), [0.0, 1.0])
    with pytest.raises(ValueError, match=r"rewards: .*\(2,\).*no negative"):
        inference.rwr_weights(np.array([-1.0, 1.0]))


def bimodal(x):
    modes = [jax.scipy.stats.norm.logpdf(x, centre, 0.5) for centre in (2.0, -2.0)]
    return jnp.logaddexp(jnp.log(0.6) + modes[0], jnp.log(0.4) + modes[1])


def test_one_projection_covers_both_modes_and_the_other_seeks_one():
    grid = np.linspace(-7, 7, 4001)
    moments = inference.moment_projection(grid[:, None], bimodal(grid))
    np.testing.assert_allclose(moments.mean, [0.6 * 2 - 0.4 * 2], atol=1e-8)
    np.testing.assert_allclose(moments.covariance, [[0.25 + 4 - 0.4**2]], atol=1e-8)
    mode = inference.information_projection(lambda x: bimodal(x[0]), np.array([1.5]), np.array([[0.4]]))

    target = np.asarray(bimodal(grid))

    def reverse_kl(x):
        log_density = norm.logpdf(grid, x[0], np.exp(x[1]))
        return np.sum(np.exp(log_density) * (log_density - target)) * (grid[1] - grid[0])

    found = minimize(reverse_kl, [1.5, -0.5], method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-13})
    np.testing.assert_allclose(mode.mean, found.x[:1], atol=1e-5)
    np.testing.assert_allclose(np.sqrt(mode.covariance[0, 0]), np.exp(found.x[1]), atol=1e-5)


def test_the_information_projection_of_a_gaussian_is_itself_and_differentiates():
    precision = jnp.array([[2.0, 0.5], [0.5, 1.0]])

    def project(centre):
        density = lambda x: -0.5 * (x - centre) @ precision @ (x - centre)
        return inference.information_projection(density, np.zeros(2), np.eye(2), nodes=6)

    result = project(jnp.array([1.0, -2.0]))
    np.testing.assert_allclose(result.mean, [1.0, -2.0], atol=1e-8)
    np.testing.assert_allclose(result.covariance, np.linalg.inv(precision), atol=1e-8)
    slope = jax.jacobian(lambda centre: project(centre).mean)(jnp.array([1.0, -2.0]))
    np.testing.assert_allclose(slope, np.eye(2), atol=1e-8)


@pytest.mark.parametrize("beta", [0.5, 1.0, 2.0, -1.0])
def test_gumbel_regression_finds_the_log_of_the_expected_exponential(beta):
    samples, weights = np.array([0.0, 1.0, -1.0, 2.0, -3.0]), np.array([0.3, 0.2, 0.2, 0.1, 0.2])
    loss = lambda h, **clip: float(weights @ inference.gumbel_loss(np.full(5, h), samples, beta=beta, **clip))
    exact = beta * logsumexp(samples / beta, b=weights)
    for clip in ({}, {"clip": 7.0}):
        found = minimize_scalar(
            lambda h, clip=clip: loss(h, **clip), bounds=(-5, 5), method="bounded", options={"xatol": 1e-9}
        )
        np.testing.assert_allclose(found.x, exact, atol=1e-6)
    np.testing.assert_allclose(inference.gumbel_regression(samples, beta=beta, log_weights=np.log(weights)), exact)


def test_a_clipped_gumbel_loss_has_no_second_minimum_and_does_not_overflow():
    samples = np.array([0.0, 1.0, -1.0, 2.0, -3.0])
    curve = [
        float(np.mean(inference.gumbel_loss(np.full(5, h), samples, beta=0.5, clip=1.0)))
        for h in np.linspace(-9, 5, 57)
    ]
    assert np.all(np.diff(curve, 2) > -1e-9)  # convex
    with jax.enable_x64(False):
        slope = jax.grad(lambda h: inference.gumbel_loss(h, jnp.float32(1e4), beta=0.1, clip=7.0))(jnp.float32(0.0))
    assert np.isfinite(slope)


def test_gumbel_regression_on_next_values_is_the_optimistic_backup():
    transition, values = np.array([0.2, 0.5, 0.3]), np.array([1.0, -2.0, 0.5])
    regression = inference.gumbel_regression(values, beta=0.7, log_weights=np.log(transition))
    mdp = inference.TabularMDP(
        transition=np.stack([transition, [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])[:, None],
        reward=np.stack([np.zeros((3, 1)), values[:, None]]),
        initial=np.eye(3)[0],
    )
    v = inference.backward_messages(mdp, 2, temperature=0.7).v
    np.testing.assert_allclose(v[0, 0], regression, atol=1e-12)
