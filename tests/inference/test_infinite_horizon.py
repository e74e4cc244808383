"""Discounted and average soft control: fixed points, contraction, monotone improvement, limits, implicit gradients."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import fsolve
from scipy.special import logsumexp

from softrl import inference
from tests.inference import models

MDP = models.random_mdp(31, 4, 3, prior="hard")
GAMMA, TEMPERATURE = 0.9, 0.5


def bellman(v, mdp=MDP, gamma=GAMMA, temperature=TEMPERATURE):
    q = mdp.reward + gamma * mdp.transition @ v
    return temperature * logsumexp(q / temperature + mdp.log_prior, axis=-1)


def test_value_iteration_solves_the_equation_that_a_root_finder_solves():
    result = inference.soft_value_iteration(MDP, gamma=GAMMA, temperature=TEMPERATURE, tol=1e-12)
    expected = fsolve(lambda v: v - bellman(v), np.zeros(4), xtol=1e-13)
    np.testing.assert_allclose(result.v, expected, atol=1e-10)
    np.testing.assert_allclose(np.exp(result.log_policy).sum(-1), 1.0, atol=1e-12)


def test_value_iteration_stops_within_its_tolerance():
    exact = inference.soft_policy_iteration(MDP, gamma=GAMMA, temperature=TEMPERATURE, tol=1e-13).v
    for tol in (1e-1, 1e-3, 1e-6):
        result = inference.soft_value_iteration(MDP, gamma=GAMMA, temperature=TEMPERATURE, tol=tol)
        assert np.abs(result.v - exact).max() <= tol


def test_each_iteration_contracts_by_gamma():
    exact = inference.soft_policy_iteration(MDP, gamma=GAMMA, temperature=TEMPERATURE, tol=1e-13).v
    distance = [float(np.abs(_after(count).v - exact).max()) for count in range(1, 8)]
    assert all(later <= GAMMA * earlier + 1e-12 for earlier, later in itertools.pairwise(distance))


def _after(count):
    with pytest.warns(RuntimeWarning, match="no fixed point after"):
        return inference.soft_value_iteration(MDP, gamma=GAMMA, temperature=TEMPERATURE, max_iterations=count)


def test_values_that_have_not_converged_are_not_given_without_a_word():
    near_one = {"gamma": 0.9999, "temperature": TEMPERATURE}
    exact = inference.soft_policy_iteration(MDP, **near_one)
    with pytest.warns(
        RuntimeWarning, match=r"after 1,000 iterations: residual .*soft_policy_iteration, or more"
    ) as told:
        early = inference.soft_value_iteration(MDP, **near_one, max_iterations=1_000)
    assert told[0].filename == __file__, "it names the caller's line"
    assert np.abs(early.v - exact.v).max() > 1.0


def test_policy_iteration_improves_monotonically_to_the_same_fixed_point():
    policy, previous = models.random_log_policy(1, MDP, 1)[0], -np.inf
    for _ in range(6):
        values = inference.soft_policy_evaluation(MDP, policy, gamma=GAMMA, temperature=TEMPERATURE)
        assert np.all(values.v >= previous - 1e-12)
        logits = values.q / TEMPERATURE + MDP.log_prior
        policy, previous = np.asarray(logits - logsumexp(logits, axis=-1, keepdims=True)), values.v
    start = models.random_log_policy(1, MDP, 1)[0]
    result = inference.soft_policy_iteration(MDP, gamma=GAMMA, temperature=TEMPERATURE, log_policy=start)
    np.testing.assert_allclose(result.v, previous, atol=1e-9)
    np.testing.assert_allclose(result.v, bellman(result.v), atol=1e-12)
    assert result.iterations < 10


def test_policy_evaluation_is_the_discounted_sum_of_rewards_and_entropies():
    policy = models.random_log_policy(2, MDP, 1)[0]
    values = inference.soft_policy_evaluation(MDP, policy, gamma=GAMMA, temperature=TEMPERATURE)
    weights = np.exp(policy)
    prior = np.where(weights > 0, MDP.log_prior, 0.0)
    bonus = MDP.reward - TEMPERATURE * (np.where(weights > 0, policy, 0.0) - prior)
    state, total = np.eye(4), np.zeros(4)
    for step in range(600):
        total += GAMMA**step * state @ (weights * bonus).sum(-1)
        state = state @ np.einsum("sa,sax->sx", weights, MDP.transition)
    np.testing.assert_allclose(values.v, total, atol=1e-10)


def test_a_policy_outside_the_prior_is_worth_minus_infinity_where_it_can_get_there():
    transition = np.zeros((3, 2, 3))
    transition[0, :, 1] = transition[1, :, 1] = transition[2, :, 2] = 1.0
    prior = np.array([[0.0, 0.0], [0.0, -np.inf], [0.0, 0.0]])
    mdp = inference.TabularMDP(transition, np.ones((3, 2)), np.full(3, 1 / 3), prior)
    values = inference.soft_policy_evaluation(mdp, np.full((3, 2), -np.log(2)), gamma=0.5)
    assert values.v[0] == values.v[1] == -np.inf
    np.testing.assert_allclose(values.v[2], 2 * (1 + np.log(2)))


def reaching(bad: np.ndarray, leads: np.ndarray) -> np.ndarray:
    """States from which a bad one can be reached, step by step."""
    for _ in bad:
        bad = bad | (leads & bad).any(-1)
    return bad


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_policy_is_worth_minus_infinity_only_where_it_can_get_to_what_the_prior_forbids(dtype):
    """Among closed classes of states; rounding in a linear system is no way from one to the other."""
    for seed in range(50):
        draw = np.random.default_rng(seed)
        transition = np.zeros((8, 2, 8))
        transition[:4, :, :4], transition[4:] = draw.dirichlet(np.ones(4), (4, 2)), draw.dirichlet(np.ones(8), (4, 2))
        prior = np.log(draw.dirichlet(np.ones(2), 8))
        prior[7, 1] = -np.inf
        policy = draw.dirichlet(np.ones(2), 8)
        mdp = inference.TabularMDP(*(x.astype(dtype) for x in (transition, np.ones((8, 2)), np.full(8, 1 / 8), prior)))
        values = inference.soft_policy_evaluation(mdp, np.log(policy).astype(dtype), gamma=0.99)
        leads = ((policy > 0)[..., None] & (transition > 0)).any(1)
        doomed = reaching(((policy > 0) & (prior == -np.inf)).any(-1), leads)
        np.testing.assert_array_equal(np.isneginf(values.v), doomed)
        np.testing.assert_array_equal(np.isneginf(values.q), ((transition > 0) & doomed).any(-1))


@pytest.mark.parametrize("temperature", [1e-2, 1e-3])
def test_low_temperature_is_hard_value_iteration_and_best_case_planning(temperature):
    mdp = models.random_mdp(32, 4, 3)
    hard = lucky = absorbed = np.zeros(4)
    for _ in range(400):
        hard = (mdp.reward + GAMMA * mdp.transition @ hard).max(-1)
        best = np.where(mdp.transition > 0, lucky, -np.inf).max(-1)
        lucky = (mdp.reward + GAMMA * best).max(-1)
        best = np.where(mdp.transition > 0, absorbed, -np.inf).max(-1)
        absorbed = (mdp.reward - 3.0 + np.maximum(best, 0.0)).max(-1)
    bound = temperature * np.log(3) / (1 - GAMMA)
    soft = inference.soft_value_iteration(mdp, gamma=GAMMA, temperature=temperature).v
    assert np.all((soft >= hard - 1e-9) & (soft <= hard + bound))
    optimistic = {"gamma": GAMMA, "temperature": temperature, "mode": "optimistic"}
    luck = temperature * np.log(1e4) / (1 - GAMMA)  # the least probable state of the model has more than 1e-4
    scaled = inference.soft_value_iteration(mdp, discount="scaled", **optimistic).v
    np.testing.assert_allclose(scaled, lucky, atol=bound + luck)
    # Negative rewards: otherwise the discounted evidence is infinite at low temperature.
    costly = mdp._replace(reward=mdp.reward - 3.0)
    np.testing.assert_allclose(inference.soft_value_iteration(costly, **optimistic).v, absorbed, atol=bound + luck)


def test_soft_values_are_within_their_bound_of_hard_ones_at_any_temperature():
    mdp, hard = models.random_mdp(33, 3, 2), np.zeros(3)
    for _ in range(1000):
        hard = (mdp.reward + GAMMA * mdp.transition @ hard).max(-1)
    for temperature in (0.1, 1.0, 10.0):
        soft = inference.soft_value_iteration(mdp, gamma=GAMMA, temperature=temperature).v
        assert np.all(soft >= hard - 1e-9)
        assert np.all(soft <= hard + temperature * np.log(2) / (1 - GAMMA) + 1e-9)


def test_absorbing_discount_is_a_linear_equation_and_the_long_run_of_the_discounted_model():
    mdp = models.random_mdp(34, 3, 2, prior="soft")
    mdp = mdp._replace(reward=mdp.reward - 3.0)
    result = inference.soft_value_iteration(mdp, gamma=0.8, mode="optimistic", tol=1e-13)
    weights = np.exp(mdp.log_prior + mdp.reward)
    message = np.einsum("sa,sax->sx", weights, mdp.transition)
    beta = np.linalg.solve(np.eye(3) - 0.8 * message, 0.2 * weights.sum(-1))
    np.testing.assert_allclose(result.v, np.log(beta), atol=1e-10)
    long = inference.backward_messages(inference.with_absorbing_discount(mdp, 0.8), 200)
    np.testing.assert_allclose(result.v, long.v[0, :3], atol=1e-10)
    np.testing.assert_allclose(result.log_policy, long.log_policy[0, :3], atol=1e-10)


@pytest.mark.parametrize(
    ("solver", "settings"),
    [
        (inference.soft_value_iteration, {"tol": 1e-13}),
        (inference.soft_value_iteration, {"tol": 1e-13, "mode": "optimistic"}),
        (inference.soft_policy_iteration, {}),
    ],
)
def test_implicit_gradients_are_those_of_finite_differences(solver, settings):
    mdp = MDP._replace(reward=MDP.reward - 3.0)

    @jax.jit
    def value(reward, gamma, temperature):
        solution = solver(mdp._replace(reward=reward), gamma=gamma, temperature=temperature, **settings)
        return solution.v @ jnp.asarray(mdp.initial)

    at = (jnp.asarray(mdp.reward), jnp.asarray(GAMMA), jnp.asarray(TEMPERATURE))
    along = (jnp.asarray(np.random.default_rng(0).normal(size=(4, 3))), jnp.asarray(0.1), jnp.asarray(-0.2))
    moved = lambda size: value(*(x + size * dx for x, dx in zip(at, along, strict=True)))
    gradient = jax.grad(value, (0, 1, 2))(*at)
    slope = sum(float(jnp.sum(g * dx)) for g, dx in zip(gradient, along, strict=True))
    np.testing.assert_allclose(slope, (moved(1e-5) - moved(-1e-5)) / 2e-5, rtol=1e-6)
    _, second = jax.jvp(lambda *x: jax.jvp(value, x, along)[1], at, along)
    np.testing.assert_allclose(second, (moved(1e-3) - 2 * moved(0.0) + moved(-1e-3)) / 1e-6, rtol=1e-3)


def test_gradient_in_the_reward_is_the_discounted_visitation():
    gradient = jax.grad(
        lambda reward: (
            inference.soft_policy_iteration(MDP._replace(reward=reward), gamma=GAMMA, temperature=TEMPERATURE).v
            @ jnp.asarray(MDP.initial)
        )
    )(jnp.asarray(MDP.reward))
    policy = np.exp(inference.soft_policy_iteration(MDP, gamma=GAMMA, temperature=TEMPERATURE).log_policy)
    chain = np.einsum("sa,sax->sx", policy, MDP.transition)
    visits = np.linalg.solve(np.eye(4) - GAMMA * chain.T, MDP.initial)[:, None] * policy
    np.testing.assert_allclose(gradient, visits, atol=1e-10)


def test_the_average_growth_of_evidence_is_the_perron_pair():
    mdp = models.random_mdp(35, 4, 2, zeros=False, prior="soft")
    result = inference.optimistic_average(mdp, temperature=0.7)
    matrix = np.einsum("sa,sax->sx", np.exp(mdp.log_prior + mdp.reward / 0.7), mdp.transition)
    eigenvalues, vectors = np.linalg.eig(matrix)
    top = np.argmax(eigenvalues.real)
    vector = np.abs(vectors[:, top].real)
    np.testing.assert_allclose(result.log_rate, np.log(eigenvalues[top].real), atol=1e-12)
    np.testing.assert_allclose(np.exp(result.log_vector), vector / vector.sum(), atol=1e-12)
    horizon = 150
    long = inference.posterior(mdp, horizon, temperature=0.7)
    np.testing.assert_allclose(long.log_evidence, horizon * result.log_rate + result.prefactor, atol=1e-9)
    np.testing.assert_allclose(long.log_policy[0], result.log_policy, atol=1e-10)


def test_the_perron_pair_survives_a_period_and_values_beyond_the_range_of_exponentials():
    cycle = np.zeros((3, 1, 3))
    cycle[[0, 1, 2], 0, [1, 2, 0]] = 1.0
    mdp = inference.TabularMDP(cycle, np.array([[-1000.0], [-2000.0], [-6000.0]]), np.eye(3)[0])
    with jax.enable_x64(False):
        result = inference.optimistic_average(mdp)
        slope = jax.grad(lambda reward: inference.optimistic_average(mdp._replace(reward=reward)).log_rate)(
            jnp.asarray(mdp.reward, jnp.float32)
        )
    np.testing.assert_allclose(result.log_rate, -3000.0, rtol=1e-6)
    np.testing.assert_allclose(slope, np.full((3, 1), 1 / 3), rtol=1e-5)


def test_a_sweep_over_discounts_and_temperatures_is_one_vmap():
    gammas, temperatures = jnp.array([0.0, 0.5, 0.99]), jnp.array([0.1, 1.0, 5.0])
    solve = lambda gamma, temperature: inference.soft_value_iteration(MDP, gamma=gamma, temperature=temperature).v
    together = jax.vmap(solve)(gammas, temperatures)
    for index in range(3):
        np.testing.assert_allclose(together[index], solve(gammas[index], temperatures[index]), atol=1e-9)


def test_single_precision_converges_although_the_tolerance_is_below_its_rounding():
    reference = inference.soft_policy_iteration(MDP, gamma=0.99, temperature=TEMPERATURE).v
    with jax.enable_x64(False):
        result = inference.soft_value_iteration(MDP, gamma=0.99, temperature=TEMPERATURE, tol=1e-12)
        assert result.iterations < 10_000
    # The last change is a few roundings of V, and the error at most 1/(1 − γ) = 100 times it.
    np.testing.assert_allclose(result.v, reference, atol=4e2 * 1.2e-7 * np.abs(reference).max())


def test_an_infinite_discounted_evidence_is_refused_with_its_growth_and_the_ways_out():
    mdp = models.random_mdp(21, 3, 2)
    mdp = mdp._replace(reward=np.zeros((3, 2)))
    with pytest.raises(ValueError, match=r"reward: .*factor 1\.8 a step.*log_prior.*discount='scaled'"):
        inference.soft_value_iteration(mdp, gamma=0.9, mode="optimistic")
    normalised = mdp._replace(log_prior=np.full((3, 2), np.log(0.5)))
    np.testing.assert_allclose(
        inference.soft_value_iteration(normalised, gamma=0.9, mode="optimistic").v, 0.0, atol=1e-9
    )
    traced = jax.jit(lambda m: inference.soft_value_iteration(m, gamma=0.9, mode="optimistic", max_iterations=50))(mdp)
    assert traced.residual > 0.1


@pytest.mark.parametrize("gamma", [0.0, 0.9])
@pytest.mark.parametrize("solve", [inference.soft_value_iteration, inference.soft_policy_iteration])
def test_the_residual_is_that_of_the_value_which_is_returned(solve, gamma):
    mdp = models.random_mdp(22, 3, 2)
    assert solve(mdp, gamma=gamma).residual < 1e-10


def test_an_average_over_classes_that_cannot_reach_each_other_is_refused():
    mdp = inference.TabularMDP(np.eye(2)[:, None], np.array([[0.0], [2.0]]), np.array([0.5, 0.5]))
    with pytest.raises(ValueError, match=r"transition: .*can all reach each other"):
        inference.optimistic_average(mdp)
    assert np.isnan(jax.jit(inference.optimistic_average)(mdp).log_vector).any()
