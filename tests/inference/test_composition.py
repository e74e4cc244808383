"""Bounds on composed skills, and rewards against an adversary."""

import jax
import jax.numpy as jnp
import numpy as np
from scipy.optimize import minimize
from scipy.special import logsumexp

from softrl import inference
from tests.inference import models

GAMMA = 0.9


def tasks(seed, count, temperature, prior="none"):
    mdp = models.random_mdp(seed, 4, 3, prior=prior)
    rewards = np.random.default_rng(seed + 1).normal(size=(count, 4, 3))
    solve = lambda reward: inference.soft_policy_iteration(
        mdp._replace(reward=reward), gamma=GAMMA, temperature=temperature, tol=1e-13
    )
    return mdp, rewards, solve


def test_the_composed_values_enclose_the_optimal_ones():
    for seed, temperature, prior, weights in (
        (0, 1.0, "none", [0.5, 0.5]),
        (1, 0.3, "hard", [0.5, 0.5]),
        (2, 0.5, "soft", [0.2, 0.3, 0.5]),
    ):
        mdp, rewards, solve = tasks(seed, len(weights), temperature, prior)
        qs = jnp.stack([solve(reward).q for reward in rewards])
        bound = inference.composition_bound(mdp, qs, gamma=GAMMA, temperature=temperature, weights=np.array(weights))
        mixed = np.einsum("k,ksa->sa", weights, rewards)
        best = solve(mixed).q
        assert np.all(bound.q >= best - 1e-9)
        assert np.all(best >= bound.q - bound.value_gap - 1e-9)
        earned = inference.soft_policy_evaluation(
            mdp._replace(reward=mixed), bound.log_policy, gamma=GAMMA, temperature=temperature
        ).q
        assert np.all(earned >= best - bound.policy_gap - 1e-9)
        assert np.max(bound.value_gap) > 1e-3


def test_the_gaps_are_the_fixed_points_they_stand_for():
    mdp, rewards, solve = tasks(3, 2, 0.7)
    solutions = [solve(reward) for reward in rewards]
    bound = inference.composition_bound(mdp, jnp.stack([s.q for s in solutions]), gamma=GAMMA, temperature=0.7)
    first, second = (np.exp(s.log_policy) for s in solutions)
    renyi = -2 * np.log(np.sqrt(first * second).sum(-1))
    policy, C, D = np.exp(bound.log_policy), np.zeros((4, 3)), np.zeros((4, 3))
    for _ in range(600):
        C = GAMMA * mdp.transition @ (0.7 * 0.5 * renyi + C.max(-1))
    for _ in range(600):
        D = GAMMA * mdp.transition @ (policy * (C + D)).sum(-1)
    np.testing.assert_allclose(bound.value_gap, C, atol=1e-10)
    np.testing.assert_allclose(bound.policy_gap, D, atol=1e-10)


def test_one_task_composes_with_itself_without_a_gap_and_the_bound_differentiates():
    mdp, rewards, solve = tasks(4, 2, 1.0)
    q = solve(rewards[0]).q
    bound = inference.composition_bound(mdp, jnp.stack([q, q]), gamma=GAMMA)
    np.testing.assert_allclose(bound.policy_gap, 0.0, atol=1e-12)
    other = solve(rewards[1]).q
    loss = lambda q: jnp.sum(inference.composition_bound(mdp, jnp.stack([q, other]), gamma=GAMMA).value_gap)
    direction = jnp.asarray(rewards[0])
    expected = (loss(q + 1e-5 * direction) - loss(q - 1e-5 * direction)) / 2e-5
    np.testing.assert_allclose(jnp.sum(jax.grad(loss)(q) * direction), expected, rtol=1e-6)


def test_the_worst_case_reward_is_what_a_constrained_adversary_finds():
    rng, temperature = np.random.default_rng(5), 0.6
    reward, policy, prior = rng.normal(size=4), rng.dirichlet(np.ones(4)), rng.dirichlet(np.ones(4))
    worst = inference.worst_case_reward(reward, np.log(policy), temperature=temperature, log_prior=np.log(prior))
    objective = policy @ (reward - temperature * np.log(policy / prior))
    np.testing.assert_allclose(policy @ worst, objective, atol=1e-12)
    slack = lambda x: -temperature * logsumexp((reward - x) / temperature, b=prior)
    found = minimize(
        lambda x: policy @ x,
        reward + 2.0,
        constraints=[{"type": "ineq", "fun": slack}],
        method="SLSQP",
        options={"ftol": 1e-14, "maxiter": 500},
    )
    np.testing.assert_allclose(found.fun, objective, atol=1e-6)
    np.testing.assert_allclose(found.x, worst, atol=1e-3)  # SLSQP's own accuracy in the argument


def test_an_action_that_is_never_taken_costs_the_adversary_nothing():
    log_policy = jnp.array([0.0, -jnp.inf])
    worst = inference.worst_case_reward(np.array([1.0, 2.0]), log_policy)
    np.testing.assert_array_equal(worst, [1.0, np.inf])
    gradient = jax.grad(lambda r: inference.worst_case_reward(r, log_policy)[0])(jnp.array([1.0, 2.0]))
    np.testing.assert_array_equal(gradient, [1.0, 0.0])
