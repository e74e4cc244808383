"""The losses of maximum a posteriori policy optimisation, against one iteration of it in closed form."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import norm

from softrl.agents.descent import begin, descend
from softrl.agents.mpo import MPOHypers, e_step, m_step
from softrl.agents.mpo.m_step import Decoupled
from softrl.distributions import tanh_gaussian
from softrl.distributions.tanh_gaussian import TanhGaussian
from softrl.inference import reps_dual
from tests.oracles import mpo as oracle

DRAWS = 1024
ROWS = jnp.ones(3)
EQUAL = (oracle.MEAN + oracle.STD * norm.ppf((np.arange(DRAWS) + 0.5) / DRAWS)[:, None]).astype(np.float32)
"""As many actions, each for an equal share of the old policy; those of the outermost shares are a little too near."""
Q = oracle.q(EQUAL).astype(np.float32)
NODES, SHARES = np.polynomial.hermite_e.hermegauss(48)
PRE_TANH = (oracle.MEAN + oracle.STD * NODES[:, None]).astype(np.float32)
"""Actions of unequal shares, by which every expectation here is exact."""
OLD = TanhGaussian(jnp.float32(oracle.MEAN[:, None]), jnp.float32(np.log(oracle.STD[:, None])))
BOUNDS = Decoupled(jnp.float32(oracle.BOUND_MEAN), jnp.float32(oracle.BOUND_STD))


@pytest.mark.parametrize("epsilon", oracle.TEMPERATURE)
def test_the_oracle_is_the_one_whose_numbers_were_found_elsewhere(epsilon):
    found = oracle.step(epsilon)
    np.testing.assert_allclose(found.temperature, oracle.TEMPERATURE[epsilon], rtol=1e-10)
    np.testing.assert_allclose(found.multipliers, oracle.MULTIPLIERS[epsilon], rtol=1e-6)


@jax.jit
def settled(epsilon):
    """η after a thousand descents of the dual from 1, at a rate that falls to zero."""

    def one(net, rate):
        loss, grad = jax.value_and_grad(
            lambda log_eta: e_step.temperature_dual(jnp.exp(log_eta), jnp.asarray(Q), epsilon, ROWS)
        )(net.params)
        return descend(net, loss, grad, (), rate, MPOHypers())[0], loss

    net, duals = jax.lax.scan(one, begin(jnp.float32(0.0), (), MPOHypers()), jnp.linspace(0.02, 0.0, 1000))
    return jnp.exp(net.params), duals[-1]


@pytest.mark.parametrize("epsilon", oracle.TEMPERATURE)
def test_descending_the_dual_finds_the_temperature_at_which_the_constraint_binds(epsilon):
    eta, dual = settled(epsilon)
    np.testing.assert_allclose(eta, oracle.TEMPERATURE[epsilon], rtol=0.01)
    np.testing.assert_allclose(dual, oracle.DUAL[epsilon], atol=1e-3)
    weights = np.asarray(e_step.weights(jnp.asarray(Q), eta), np.float64)
    np.testing.assert_allclose(weights.sum(0), 1.0, rtol=1e-4)
    # Of DRAWS equal shares: the outermost one, beyond 3.5 σ, is taken for its middle.
    np.testing.assert_allclose(np.sum(weights * np.log(DRAWS * weights), 0).mean(), epsilon, rtol=0.01)


def test_the_dual_is_that_of_the_exact_solver():
    q = np.random.default_rng(0).normal(size=(5, 7)).astype(np.float32)
    for eta, epsilon in ((0.1, 0.5), (2.0, 0.01)):
        exact = reps_dual(eta, q.T, np.full((7, 5), -np.log(5.0), np.float32), epsilon=epsilon)
        dual = e_step.temperature_dual(jnp.float32(eta), q, jnp.float32(epsilon), jnp.ones(7))
        np.testing.assert_allclose(dual, exact, rtol=1e-5)


def test_values_far_from_zero_cost_the_temperature_no_digits():
    q = np.random.default_rng(1).normal(size=(5, 64)).astype(np.float32)
    slope = jax.grad(lambda eta, q: e_step.temperature_dual(eta, q, jnp.float32(0.1), jnp.ones(64)))
    far = np.float32(2**16) + q
    near = slope(jnp.float32(1.0), far - np.float32(2**16))  # what is left of them there, exactly
    np.testing.assert_allclose(slope(jnp.float32(1.0), far), near, rtol=1e-4)


def test_weights_of_values_that_dwarf_the_temperature_are_still_weights():
    q = jnp.asarray([[1e4, 0.0], [1e4 - 1.0, 1e6], [-1e5, 1e6]], jnp.float32)
    weights = e_step.weights(q, jnp.float32(1e-8))
    np.testing.assert_array_equal(weights, [[1.0, 0.0], [0.0, 0.5], [0.0, 0.5]])


def exact_weights(temperature: float) -> jax.Array:
    """What the E-step's weights of `PRE_TANH` are in the limit of many draws."""
    weights = SHARES[:, None] * np.exp(oracle.q(PRE_TANH) / temperature)
    return jnp.float32(weights / weights.sum(0))


@jax.jit
def ascended(weights):
    """Policy and multipliers after 1,500 steps of both, from the old policy and λ = 1, at falling rates."""

    def one(carry, rate):
        policy, multipliers = carry
        loss = lambda new: m_step.policy_loss(
            new, OLD, jnp.asarray(PRE_TANH)[..., None], weights, jax.tree.map(jnp.exp, multipliers.params), ROWS
        )
        (total, kls), grads = jax.value_and_grad(loss, has_aux=True)(policy.params)
        dual, slopes = jax.value_and_grad(m_step.multiplier_loss)(multipliers.params, kls, BOUNDS)
        policy, _, _ = descend(policy, total, grads, (), 0.1 * rate, MPOHypers())
        multipliers, _, _ = descend(multipliers, dual, slopes, (), rate, MPOHypers())
        return (policy, multipliers), kls

    ones = Decoupled(jnp.zeros(1), jnp.zeros(1))
    start = begin(OLD, (), MPOHypers()), begin(ones, (), MPOHypers())
    (policy, multipliers), kls = jax.lax.scan(one, start, jnp.linspace(0.05, 0.0, 1500))
    return policy.params, jax.tree.map(jnp.exp, multipliers.params), jax.tree.map(lambda x: x[-1], kls)


@pytest.mark.parametrize("epsilon", oracle.TEMPERATURE)
def test_dual_ascent_finds_the_multipliers_at_which_both_trust_regions_bind(epsilon):
    expected = oracle.step(epsilon)
    weights = exact_weights(expected.temperature)
    policy, multipliers, kls = ascended(weights)
    np.testing.assert_allclose(np.concatenate(multipliers), expected.multipliers, rtol=1e-3)
    np.testing.assert_allclose(policy.mean[:, 0], expected.mean, atol=1e-5)
    np.testing.assert_allclose(np.exp(policy.log_std[:, 0]), expected.std, rtol=1e-5)
    np.testing.assert_allclose(np.concatenate(kls), BOUNDS, rtol=1e-3)


def test_the_constrained_optimum_is_where_both_gradients_vanish():
    expected = oracle.step(0.1)
    weights = exact_weights(expected.temperature)
    new = TanhGaussian(jnp.float32(expected.mean[:, None]), jnp.float32(np.log(expected.std[:, None])))
    multipliers = Decoupled(*(jnp.full(1, x, jnp.float32) for x in expected.multipliers))
    loss = lambda new: m_step.policy_loss(new, OLD, jnp.asarray(PRE_TANH)[..., None], weights, multipliers, ROWS)
    (_, kls), grads = jax.value_and_grad(loss, has_aux=True)(new)
    at_old, _ = jax.grad(loss, has_aux=True)(OLD)
    for there, before in zip(grads, at_old, strict=True):
        assert np.abs(there).max() < 1e-3 * np.abs(before).max()
    slope = jax.grad(m_step.multiplier_loss)(jax.tree.map(jnp.log, multipliers), kls, BOUNDS)
    np.testing.assert_allclose(np.concatenate(slope) / np.concatenate(multipliers), 0.0, atol=1e-6)


def test_divergences_of_a_millionth_of_a_nat_keep_their_digits():
    moved = np.float32(1e-3) * np.asarray([[1.0, -2.0]], np.float32)
    new = TanhGaussian(OLD.mean[:1] + jnp.zeros((1, 2)), jnp.asarray(moved))
    old = TanhGaussian(new.mean, jnp.zeros((1, 2)))
    kls = m_step.divergences(new, old, jnp.ones(1))
    exact = moved.astype(np.float64) + 0.5 * np.expm1(-2.0 * moved.astype(np.float64))
    np.testing.assert_allclose(kls.std, exact[0], rtol=1e-3)
    np.testing.assert_array_equal(kls.mean, 0.0)


def test_likelihoods_before_the_tanh_differ_from_those_of_actions_by_what_no_parameter_moves():
    """The gradient of Σ w log π(a), by the density of actions, is the loss's own where new and old policy are one."""
    weights = exact_weights(1.0)
    of_actions = lambda new: (
        -jnp.mean(
            jnp.sum(
                weights
                * tanh_gaussian.log_prob(jax.tree.map(lambda x: x[None], new), jnp.asarray(PRE_TANH)[..., None]),
                axis=0,
            )
        )
    )
    free = Decoupled(jnp.zeros(1), jnp.zeros(1))
    loss = lambda new: m_step.policy_loss(new, OLD, jnp.asarray(PRE_TANH)[..., None], weights, free, ROWS)[0]
    jax.tree.map(
        partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-5), jax.grad(loss)(OLD), jax.grad(of_actions)(OLD)
    )


def test_a_multiplier_grows_above_its_bound_and_shrinks_below_it():
    slope = jax.grad(m_step.multiplier_loss)(
        Decoupled(jnp.log(jnp.asarray([2.0, 3.0])), jnp.zeros(2)),
        Decoupled(jnp.asarray([2e-3, 0.0]), jnp.asarray([1e-4, 1.1e-3])),
        BOUNDS,
    )
    np.testing.assert_allclose(slope.mean, [2.0 * -1e-3, 3.0 * 1e-3], rtol=1e-4)
    np.testing.assert_allclose(slope.std, [0.0, -1e-3], rtol=1e-4, atol=1e-9)
