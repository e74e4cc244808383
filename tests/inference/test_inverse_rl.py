"""Inverse RL: the reward comes back up to what no behaviour can tell, and only from the right model."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from softrl import inference

HORIZON = 6


def grid_world(slip=0.2):
    """3 × 3 grid, four moves, a slip to a random one; returns (mdp, one indicator feature a state)."""
    transition = np.zeros((9, 4, 9))
    for state in range(9):
        row, column = divmod(state, 3)
        ends = []
        for down, right in ((-1, 0), (0, 1), (1, 0), (0, -1)):
            inside = 0 <= row + down < 3 and 0 <= column + right < 3
            ends.append((row + down) * 3 + column + right if inside else state)
        for action in range(4):
            transition[state, action, ends[action]] += 1 - slip
            for other in ends:
                transition[state, action, other] += slip / 4
    features = np.broadcast_to(np.eye(9)[:, None], (9, 4, 9))
    return inference.TabularMDP(transition, np.zeros((9, 4)), np.full(9, 1 / 9)), features


MDP, FEATURES = grid_world()
TRUTH = np.random.default_rng(0).normal(size=9)


def expert(causal, temperature=1.0):
    mdp = MDP._replace(reward=FEATURES @ TRUTH)
    if not causal:
        return inference.posterior(mdp, HORIZON, temperature=temperature).state_action_marginals
    messages = inference.backward_messages(mdp, HORIZON, temperature=temperature, mode="variational")
    return inference.visitation(jnp.asarray(mdp.initial), messages.log_policy, jnp.asarray(mdp.transition))


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("temperature", [1.0, 0.4])
def test_the_reward_is_recovered_up_to_a_constant_and_the_hessian_says_so(causal, temperature):
    result = inference.maxent_irl(MDP, FEATURES, expert(causal, temperature), causal=causal, temperature=temperature)
    np.testing.assert_allclose(result.weights - np.mean(result.weights), TRUTH - TRUTH.mean(), atol=1e-7)
    np.testing.assert_allclose(result.reward[:, 0], result.weights, atol=1e-12)
    assert result.gradient < 1e-9
    assert result.rank == 8
    flat = np.asarray(result.null_space)[:, np.abs(result.null_space).sum(0) > 0]
    np.testing.assert_allclose(np.abs(flat), np.full((9, 1), 1 / 3), atol=1e-9)


def test_the_wrong_model_recovers_the_wrong_reward():
    result = inference.maxent_irl(MDP, FEATURES, expert(causal=True), causal=False)
    assert result.gradient < 1e-9
    assert np.abs(result.weights - np.mean(result.weights) - (TRUTH - TRUTH.mean())).max() > 0.1


def test_on_deterministic_dynamics_from_one_start_both_models_agree():
    mdp, features = grid_world(slip=0.0)
    mdp = mdp._replace(initial=np.eye(9)[0])
    messages = inference.backward_messages(mdp._replace(reward=features @ TRUTH), HORIZON, mode="variational")
    visits = inference.visitation(jnp.asarray(mdp.initial), messages.log_policy, jnp.asarray(mdp.transition))
    both = [inference.maxent_irl(mdp, features, visits, causal=causal) for causal in (True, False)]
    np.testing.assert_allclose(both[0].weights, both[1].weights, atol=1e-6)


def test_the_gradient_of_the_dual_is_the_mismatch_of_features():
    visits = expert(causal=True)
    counts = inference.feature_expectations(MDP, FEATURES, visits)
    np.testing.assert_allclose(counts, np.asarray(visits).sum((0, 2)), atol=1e-12)
    np.testing.assert_allclose(counts.sum(), HORIZON)
    result = inference.maxent_irl(MDP, FEATURES, counts, horizon=HORIZON)
    step, h = np.random.default_rng(1).normal(size=9), 1e-4
    dual = lambda size: inference.maxent_irl(MDP, FEATURES, counts + size * (step - step.mean()), horizon=HORIZON).dual
    # By the envelope theorem the dual moves with the expert's features by −θ.
    np.testing.assert_allclose((dual(h) - dual(-h)) / (2 * h), -(step - step.mean()) @ result.weights, atol=1e-6)


def test_weights_differentiate_with_respect_to_the_expert():
    counts = jnp.asarray(inference.feature_expectations(MDP, FEATURES, expert(causal=True)))
    solve = lambda counts: inference.maxent_irl(MDP, FEATURES, counts, horizon=HORIZON)
    jacobian = jax.jacobian(lambda counts: solve(counts).weights)(counts)
    # The inverse of the Hessian, except along the constants that cannot be learned.
    np.testing.assert_allclose(jacobian @ solve(counts).hessian, np.eye(9) - 1 / 9, atol=1e-9)


def test_demonstrations_recover_the_experts_policy_to_sampling_error():
    visits = np.asarray(expert(causal=False))
    mdp = MDP._replace(reward=FEATURES @ TRUTH)
    exact = inference.posterior(mdp, HORIZON)
    states, actions = inference.sample_posterior(jax.random.key(0), exact, num_samples=4000)
    data = inference.empirical_visitation(states, actions, num_states=9, num_actions=4)
    np.testing.assert_allclose(data.sum((1, 2)), 1.0)
    assert np.abs(data - visits).max() < 5 * np.sqrt(0.25 / 4000)
    result = inference.maxent_irl(MDP, FEATURES, data, causal=False)
    found = inference.posterior(MDP._replace(reward=result.reward), HORIZON)
    assert np.abs(np.exp(found.log_policy) - np.exp(exact.log_policy)).max() < 0.15
    assert np.corrcoef(result.weights, TRUTH)[0, 1] > 0.98


def test_an_expert_that_no_reward_explains_needs_the_ridge():
    impossible = np.zeros(9).copy()
    impossible[4] = HORIZON  # always in the middle, against the slip
    free = inference.maxent_irl(MDP, FEATURES, impossible, horizon=HORIZON, max_iterations=50)
    assert free.gradient > 0.1
    held = inference.maxent_irl(MDP, FEATURES, impossible, horizon=HORIZON, ridge=0.1)
    assert held.gradient < 1e-9
    assert np.isfinite(held.weights).all()
    assert held.weights[4] == np.max(held.weights)


def test_a_missing_horizon_and_bad_shapes_are_named():
    with pytest.raises(ValueError, match=r"horizon: got None with expert of shape \(9,\)"):
        inference.maxent_irl(MDP, FEATURES, np.ones(9))
    with pytest.raises(ValueError, match=r"features: .*\(9, 4\).*\[S, A, F\]"):
        inference.maxent_irl(MDP, np.ones((9, 4)), np.ones(9), horizon=3)
    with pytest.raises(ValueError, match=r"expert: .*\(4,\).*\[F\]"):
        inference.maxent_irl(MDP, FEATURES, np.ones(4), horizon=3)
