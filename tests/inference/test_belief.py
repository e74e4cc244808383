"""Partial observation against the tree of all histories."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import logsumexp

from softrl import inference


def random_pomdp(seed, states=2, actions=2, observations=2, horizon=None):
    rng = np.random.default_rng(seed)
    observation = rng.dirichlet(np.full(observations, 0.5), (actions, states))
    observation[0] = np.eye(states, observations)  # one action that sees, or rules out, everything
    return inference.POMDP(
        rng.dirichlet(np.full(states, 0.6), (states, actions)),
        observation,
        rng.normal(size=(states, actions) if horizon is None else (horizon, states, actions)),
        rng.dirichlet(np.ones(states)),
    )


def return_of(pomdp, policies, horizon, temperature):
    """E Σ (r − α log π) by enumerating states, actions and observations; policies[t] `[(A O)^t, A]` logs."""
    transition, observation, _, initial, _ = pomdp
    states, actions, seen = transition.shape[0], transition.shape[1], observation.shape[2]
    reward = np.broadcast_to(pomdp.reward, (horizon, states, actions))
    total = 0.0
    for path in itertools.product(itertools.product(range(states), range(actions), range(seen)), repeat=horizon):
        probability, node, gain = initial[path[0][0]], 0, 0.0
        for t, (state, action, sight) in enumerate(path):
            log_prob = policies[t][node, action]
            probability *= np.exp(log_prob)
            gain += reward[t, state, action] - temperature * log_prob
            if t + 1 < horizon:
                after = path[t + 1][0]
                probability *= transition[state, action, after] * observation[action, after, sight]
                node = (node * actions + action) * seen + sight
            else:
                probability /= seen  # the last observation is not made
        total += probability * gain
    return total


@pytest.mark.parametrize("over_time", [False, True])
def test_the_value_is_what_its_policy_earns_over_all_histories_and_no_policy_earns_more(over_time):
    horizon, temperature = 3, 0.5
    pomdp = random_pomdp(0, horizon=horizon if over_time else None)
    result = inference.solve_pomdp(pomdp, horizon, temperature=temperature)
    policies = [np.asarray(p) for p in result.log_policies]
    np.testing.assert_allclose(return_of(pomdp, policies, horizon, temperature), result.value, atol=1e-10)
    rng = np.random.default_rng(1)
    for _ in range(5):
        moved = [p + 0.3 * rng.normal(size=p.shape) for p in policies]
        moved = [p - logsumexp(p, axis=-1, keepdims=True) for p in moved]
        assert return_of(pomdp, moved, horizon, temperature) < result.value


def test_full_sight_is_the_variational_solution_and_blindness_is_worth_no_more():
    rng, horizon = np.random.default_rng(2), 4
    transition, reward = rng.dirichlet(np.ones(3), (3, 2)), rng.normal(size=(3, 2))
    sees = np.broadcast_to(np.eye(3), (2, 3, 3))
    start = np.eye(3)[1]
    pomdp = inference.POMDP(transition, sees, reward, start)
    mdp = inference.TabularMDP(transition, reward, start)
    full = inference.backward_messages(mdp, horizon, temperature=0.7, mode="variational")
    result = inference.solve_pomdp(pomdp, horizon, temperature=0.7)
    np.testing.assert_allclose(result.value, full.v[0, 1], atol=1e-12)
    np.testing.assert_allclose(result.log_policy, full.log_policy[0, 1], atol=1e-12)
    blind = pomdp._replace(observation=np.ones((2, 3, 1)))
    assert inference.solve_pomdp(blind, horizon, temperature=0.7).value < result.value


def test_beliefs_follow_bayes_rule_and_impossible_observations_do_no_harm():
    pomdp = random_pomdp(3)
    result = inference.solve_pomdp(pomdp, 3)
    belief, probability = inference.belief_update(pomdp, result.beliefs[1][1], 1, 0)
    joint = (result.beliefs[1][1] @ pomdp.transition[:, 1]) * pomdp.observation[1, :, 0]
    np.testing.assert_allclose(probability, joint.sum(), atol=1e-14)
    np.testing.assert_allclose(belief, joint / joint.sum(), atol=1e-14)
    np.testing.assert_allclose(result.beliefs[2][(1 * 2 + 1) * 2 + 0], belief, atol=1e-14)
    certain = pomdp._replace(transition=np.broadcast_to(np.eye(2)[0], (2, 2, 2)))
    gradient = jax.grad(lambda p: inference.solve_pomdp(certain._replace(transition=p), 3).value)(
        jnp.asarray(certain.transition)
    )
    assert np.isfinite(gradient).all()


def test_a_prior_that_removes_an_action_removes_it_everywhere():
    pomdp = random_pomdp(4)._replace(log_prior=np.array([0.0, -np.inf]))
    result = inference.solve_pomdp(pomdp, 3)
    assert all(np.all(p[:, 1] == -np.inf) for p in result.log_policies)
    np.testing.assert_allclose(result.value, _only_first_action(pomdp), atol=1e-12)


def _only_first_action(pomdp):
    belief, total = pomdp.initial, 0.0
    for _ in range(3):
        total += belief @ pomdp.reward[:, 0]
        belief = belief @ pomdp.transition[:, 0]
    return total


def test_a_tree_too_large_to_be_exact_is_refused():
    with pytest.raises(ValueError, match=r"horizon: exact needs .* beliefs"):
        inference.solve_pomdp(random_pomdp(5), 20)
    with pytest.raises(ValueError, match=r"observation: .*\[A, S, O\] = \(2, 2, O\)"):
        inference.solve_pomdp(random_pomdp(5)._replace(observation=np.ones((3, 2, 1))), 2)
