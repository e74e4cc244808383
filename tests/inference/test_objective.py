"""Evidence, bound and gap against enumeration and against an optimiser that knows no Bellman equation."""

import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import given, settings
from scipy.optimize import minimize
from scipy.special import log_softmax

from softrl import inference
from tests.inference import models
from tests.oracles import enumeration

EXACT = {"rtol": 0, "atol": 1e-10}


@settings(max_examples=30)
@given(models.problems())
def test_bound_and_divergence_are_sums_over_all_trajectories(problem):
    mdp, horizon, temperature = problem
    paths = enumeration.trajectories(mdp, horizon)
    policy = models.random_log_policy(1, mdp, horizon)
    bound = inference.elbo(mdp, policy, temperature=temperature)
    divergence = inference.trajectory_kl(mdp, policy, temperature=temperature)
    np.testing.assert_allclose(bound, enumeration.elbo(paths, policy, temperature), **EXACT)
    np.testing.assert_allclose(divergence, enumeration.kl_to_posterior(paths, policy, temperature), **EXACT)
    np.testing.assert_allclose(enumeration.log_evidence(paths, temperature) - bound, divergence, **EXACT)


@settings(max_examples=20)
@given(models.problems())
def test_gap_is_the_divergence_of_the_variational_policy(problem):
    mdp, horizon, temperature = problem
    best = inference.backward_messages(mdp, horizon, temperature=temperature, mode="variational").log_policy
    gap = inference.optimism_gap(mdp, horizon, temperature=temperature)
    np.testing.assert_allclose(gap, inference.trajectory_kl(mdp, best, temperature=temperature), **EXACT)
    assert gap > -1e-12


def test_a_blind_optimiser_of_the_enumerated_bound_finds_the_variational_policy():
    mdp, horizon, temperature = models.random_mdp(21, 3, 2), 3, 0.7
    paths = enumeration.trajectories(mdp, horizon)
    shape = (horizon, 3, 2)
    loss = lambda x: -enumeration.elbo(paths, log_softmax(x.reshape(shape), axis=-1), temperature)
    found = minimize(loss, np.zeros(np.prod(shape)), method="BFGS", options={"gtol": 1e-8, "maxiter": 300})
    best = inference.backward_messages(mdp, horizon, temperature=temperature, mode="variational").log_policy
    np.testing.assert_allclose(-found.fun, inference.elbo(mdp, best, temperature=temperature), atol=1e-8)
    visited = (
        np.asarray(inference.visitation(jnp.asarray(mdp.initial), best, jnp.asarray(mdp.transition))).sum(-1) > 1e-2
    )
    policy = log_softmax(found.x.reshape(shape), axis=-1)
    np.testing.assert_allclose(np.exp(policy)[visited], np.exp(best)[visited], atol=1e-3)  # the optimum is flat


def test_gap_vanishes_exactly_when_nothing_is_left_to_luck():
    for seed in range(5):
        point = models.deterministic_mdp(seed, 4, 2)
        assert abs(inference.optimism_gap(point, 6, temperature=0.5)) < 1e-13
        spread = models.deterministic_mdp(seed, 4, 2, start=None)
        assert inference.optimism_gap(spread, 6, temperature=0.5) > 1e-3
        assert inference.optimism_gap(models.random_mdp(seed, 4, 2, zeros=False), 6, temperature=0.5) > 1e-3


def test_an_action_that_the_prior_forbids_makes_the_bound_minus_infinity():
    mdp = models.random_mdp(22, 3, 2)._replace(log_prior=np.array([[0.0, -np.inf], [0.0, 0.0], [0.0, 0.0]]))
    uniform = np.full((2, 3, 2), -np.log(2))
    assert inference.elbo(mdp, uniform) == -np.inf
    assert inference.trajectory_kl(mdp, uniform) == np.inf
    never_there = mdp._replace(
        initial=np.array([0.0, 1.0, 0.0]), transition=np.broadcast_to(np.array([0.0, 0.5, 0.5]), (3, 2, 3))
    )
    assert np.isfinite(inference.elbo(never_there, uniform))


def test_a_price_of_one_is_the_posterior_and_an_infinite_price_is_the_variational_policy():
    mdp, horizon, temperature = models.random_mdp(23, 3, 2, horizon=4, prior="hard"), 4, 0.6
    exact = inference.posterior(mdp, horizon, temperature=temperature)
    free = inference.structured_posterior(mdp, horizon, temperature=temperature, dynamics_price=1.0)
    np.testing.assert_allclose(free.bound, exact.log_evidence, **EXACT)
    np.testing.assert_allclose(free.log_policy, exact.log_policy, **EXACT)
    np.testing.assert_allclose(free.dynamics, exact.dynamics, **EXACT)
    np.testing.assert_allclose(free.initial, exact.state_action_marginals[0].sum(-1), **EXACT)
    fixed = inference.structured_posterior(mdp, horizon, temperature=temperature, dynamics_price=np.inf)
    best = inference.backward_messages(mdp, horizon, temperature=temperature, mode="variational")
    np.testing.assert_array_equal(fixed.log_policy, best.log_policy)
    np.testing.assert_array_equal(fixed.dynamics, np.broadcast_to(mdp.transition, fixed.dynamics.shape))
    np.testing.assert_array_equal(fixed.initial, mdp.initial)
    np.testing.assert_allclose(fixed.bound, inference.elbo(mdp, best.log_policy, temperature=temperature), **EXACT)


def test_between_the_ends_the_bound_is_what_its_own_distribution_earns():
    mdp, horizon, temperature, price = models.random_mdp(24, 3, 2), 4, 0.6, 3.0
    result = inference.structured_posterior(mdp, horizon, temperature=temperature, dynamics_price=price)
    visits = np.asarray(inference.visitation(result.initial, result.log_policy, result.dynamics))
    luck = _kl(result.initial, mdp.initial) + np.sum(visits[:-1] * _kl(result.dynamics, mdp.transition))
    earned = np.sum(visits * (mdp.reward / temperature - np.asarray(result.log_policy))) - price * luck
    np.testing.assert_allclose(result.bound, earned, **EXACT)


def test_the_price_moves_the_bound_monotonically_and_without_noise_in_single_precision():
    mdp, horizon = models.random_mdp(25, 5, 2), 10
    prices = jnp.array([1.0, 2.0, 10.0, 1e2, 1e4, 1e8, jnp.inf])
    solve = lambda price: inference.structured_posterior(mdp, horizon, dynamics_price=price).bound
    reference = jax.vmap(solve)(prices)
    assert np.all(np.diff(reference) < 1e-12)
    with jax.enable_x64(False):
        single = jax.vmap(solve)(prices.astype(jnp.float32))
        slopes = jax.vmap(jax.grad(solve))(prices.astype(jnp.float32))
    np.testing.assert_allclose(single, reference, rtol=1e-5)
    assert np.isfinite(slopes).all()
    assert np.all(np.asarray(slopes) <= 0)


def test_gradient_of_the_bound_in_the_policy_is_finite_where_actions_are_missing():
    mdp = models.random_mdp(26, 3, 3, prior="hard")
    available = jnp.asarray(mdp.log_prior) > -jnp.inf

    def loss(logits):
        policy = jax.nn.log_softmax(jnp.where(available[None], logits, -jnp.inf), axis=-1)
        return inference.elbo(mdp, policy) - inference.trajectory_kl(mdp, policy)

    gradient = jax.grad(loss)(jnp.ones((4, 3, 3)))
    assert np.isfinite(gradient).all()
    assert np.abs(gradient).max() > 0


def _kl(q, p):
    q, p = np.broadcast_arrays(np.asarray(q), np.asarray(p))
    return np.sum(np.where(q > 0, q * np.log(np.where(q > 0, q, 1.0) / np.where(q > 0, p, 1.0)), 0.0), axis=-1)
