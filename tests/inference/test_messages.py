"""Messages and posterior against the enumeration of every trajectory."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings

from softrl import inference
from tests.inference import models
from tests.oracles import enumeration

EXACT = {"rtol": 0, "atol": 1e-10}  # the bar; observed errors are some 1e-15


@settings(max_examples=40)
@given(models.problems())
def test_posterior_is_what_enumeration_of_all_trajectories_says(problem):
    mdp, horizon, temperature = problem
    paths = enumeration.trajectories(mdp, horizon)
    weights = enumeration.posterior_weights(paths, temperature)
    marginals, policy, dynamics = enumeration.tabulate(paths, weights, mdp.num_states, mdp.num_actions)
    result = inference.posterior(mdp, horizon, temperature=temperature)
    np.testing.assert_allclose(result.log_evidence, enumeration.log_evidence(paths, temperature), **EXACT)
    np.testing.assert_allclose(result.state_action_marginals, marginals, **EXACT)
    visited = ~np.isnan(policy)
    np.testing.assert_allclose(np.exp(result.log_policy)[visited], policy[visited], **EXACT)
    visited = ~np.isnan(dynamics)
    np.testing.assert_allclose(np.asarray(result.dynamics)[visited], dynamics[visited], **EXACT)


@settings(max_examples=30)
@given(models.problems())
def test_marginals_are_the_gradient_of_the_evidence_in_the_reward(problem):
    mdp, horizon, temperature = problem
    reward = jnp.broadcast_to(jnp.asarray(mdp.reward), (horizon, mdp.num_states, mdp.num_actions))
    gradient = gradient_in_reward(reward, mdp, temperature, horizon)
    marginals = inference.posterior(mdp, horizon, temperature=temperature).state_action_marginals
    np.testing.assert_allclose(gradient, marginals, **EXACT)


@functools.partial(jax.jit, static_argnames="horizon")
@jax.grad
def gradient_in_reward(reward, mdp, temperature, horizon):
    result = inference.posterior(mdp._replace(reward=reward), horizon, temperature=temperature)
    return temperature * result.log_evidence


@settings(max_examples=25)
@given(models.problems())
def test_parallel_messages_equal_the_sequential_ones(problem):
    mdp, horizon, temperature = problem
    sequential = inference.backward_messages(mdp, horizon, temperature=temperature)
    parallel = inference.backward_messages(mdp, horizon, temperature=temperature, parallel=True)
    for name in inference.Messages._fields:
        np.testing.assert_allclose(getattr(parallel, name), getattr(sequential, name), rtol=0, atol=1e-10)


def test_parallel_messages_survive_rewards_that_underflow_an_exponential():
    # One row's best continuation lies 1e5 nats below another's, so products of plain exponentials would be zero.
    mdp = models.random_mdp(3, 5, 2, horizon=17)
    mdp = mdp._replace(reward=1e4 * mdp.reward)
    sequential = inference.backward_messages(mdp, 17)
    parallel = inference.backward_messages(mdp, 17, parallel=True)
    np.testing.assert_allclose(parallel.v, sequential.v, rtol=1e-13)

    def value(reward, parallel):
        return inference.backward_messages(mdp._replace(reward=reward), 17, parallel=parallel).v[0].sum()

    gradient = jax.grad(value)(jnp.asarray(mdp.reward), True)
    np.testing.assert_allclose(gradient, jax.grad(value)(jnp.asarray(mdp.reward), False), atol=1e-8)


def test_parallel_is_refused_with_the_reason_in_the_variational_mode():
    with pytest.raises(ValueError, match=r"parallel.*not linear"):
        inference.backward_messages(models.random_mdp(0, 2, 2), 3, mode="variational", parallel=True)


@settings(max_examples=20)
@given(models.problems())
def test_forward_messages_condition_on_the_past_only(problem):
    mdp, horizon, temperature = problem
    paths = enumeration.trajectories(mdp, horizon)
    result = inference.forward_messages(mdp, horizon, temperature=temperature)
    reward = np.broadcast_to(mdp.reward, (horizon, mdp.num_states, mdp.num_actions))
    prior = np.zeros((mdp.num_states, mdp.num_actions)) if mdp.log_prior is None else mdp.log_prior
    for time in range(horizon):
        expected = enumeration.filtered(paths, reward, prior, time, temperature)
        np.testing.assert_allclose(np.exp(result.log_alpha[time]), expected, **EXACT)
    # p(O_{1:T}) = p(O_{1:T−1}) p(O_T | O_{1:T−1}), the last factor from the last forward message.
    last = np.exp(reward[-1] / temperature + prior).sum(-1)
    total = float(result.log_norm.sum()) + np.log(np.exp(result.log_alpha[-1]) @ last)
    np.testing.assert_allclose(total, enumeration.log_evidence(paths, temperature), **EXACT)


@settings(max_examples=20)
@given(models.problems())
def test_forward_times_backward_is_the_smoothed_marginal(problem):
    mdp, horizon, temperature = problem
    forward = inference.forward_messages(mdp, horizon, temperature=temperature)
    backward = inference.backward_messages(mdp, horizon, temperature=temperature)
    product = np.exp(forward.log_alpha + backward.v[:-1] / temperature)
    expected = inference.posterior(mdp, horizon, temperature=temperature).state_action_marginals.sum(-1)
    np.testing.assert_allclose(product / product.sum(-1, keepdims=True), expected, **EXACT)


def test_variational_gradients_are_visits_entropy_and_next_values():
    mdp, horizon, temperature = models.random_mdp(5, 3, 2, horizon=4), 4, 0.8
    mdp = mdp._replace(reward=jnp.asarray(mdp.reward), transition=jnp.asarray(mdp.transition))

    def value(mdp, temperature):
        messages = inference.backward_messages(mdp, horizon, temperature=temperature, mode="variational")
        return messages.v[0] @ jnp.asarray(mdp.initial)

    messages = inference.backward_messages(mdp, horizon, temperature=temperature, mode="variational")
    visits = inference.visitation(jnp.asarray(mdp.initial), messages.log_policy, mdp.transition)
    in_mdp, in_temperature = jax.grad(value, (0, 1))(mdp, temperature)
    np.testing.assert_allclose(in_mdp.reward, visits, **EXACT)
    np.testing.assert_allclose(in_temperature, -(visits * messages.log_policy).sum(), **EXACT)
    into = np.einsum("tsa,tx->sax", visits[:-1], messages.v[1:-1])
    np.testing.assert_allclose(in_mdp.transition, into, **EXACT)


def test_evidence_moves_with_temperature_by_evidence_minus_posterior_return():
    mdp, horizon, temperature = models.random_mdp(6, 3, 2), 4, 0.8
    paths = enumeration.trajectories(mdp, horizon)
    mean = enumeration.posterior_weights(paths, temperature) @ paths.reward
    slope = jax.grad(lambda a: a * inference.posterior(mdp, horizon, temperature=a).log_evidence)(temperature)
    np.testing.assert_allclose(slope, enumeration.log_evidence(paths, temperature) - mean / temperature, **EXACT)


def test_low_temperature_is_best_case_planning_not_value_iteration():
    mdp, horizon = models.random_mdp(7, 4, 2), 6
    best = expected = np.zeros(4)
    for _ in range(horizon):
        best = (mdp.reward + np.where(mdp.transition > 0, best, -np.inf).max(-1)).max(-1)
        expected = (mdp.reward + mdp.transition @ expected).max(-1)
    optimistic = inference.backward_messages(mdp, horizon, temperature=1e-4)
    variational = inference.backward_messages(mdp, horizon, temperature=1e-4, mode="variational")
    # log of the smallest probability and of the number of actions, times α, a step
    bound = 1e-4 * horizon * (np.log(1e4) + np.log(2))
    np.testing.assert_allclose(optimistic.v[0], best, atol=bound)
    np.testing.assert_allclose(variational.v[0], expected, atol=bound)
    assert np.max(best - expected) > 0.1


def test_a_normalised_prior_is_a_reward_and_a_shift_moves_only_the_evidence():
    mdp, horizon = models.random_mdp(8, 3, 2, prior="soft"), 4
    folded = mdp._replace(reward=mdp.reward + mdp.log_prior, log_prior=None)
    shifted = mdp._replace(reward=mdp.reward - 0.7)
    result = inference.posterior(mdp, horizon)
    np.testing.assert_allclose(inference.posterior(folded, horizon).log_policy, result.log_policy, **EXACT)
    moved = inference.posterior(shifted, horizon)
    np.testing.assert_allclose(moved.log_evidence, result.log_evidence - 0.7 * horizon, **EXACT)
    np.testing.assert_allclose(moved.state_action_marginals, result.state_action_marginals, **EXACT)


def test_optimistic_value_is_never_below_the_variational_one():
    for seed in range(20):
        mdp = models.random_mdp(seed, 3, 2, prior="hard")
        optimistic = inference.backward_messages(mdp, 4).v
        variational = inference.backward_messages(mdp, 4, mode="variational").v
        assert np.all(optimistic >= variational - 1e-12)


def test_discounted_model_carries_no_entropy_in_its_absorbing_state():
    mdp, horizon, gamma = models.random_mdp(9, 3, 2), 6, 0.8
    discounted = inference.with_absorbing_discount(mdp, gamma)
    for mode in ("optimistic", "variational"):
        v = np.zeros(3)
        for _ in range(horizon):
            if mode == "optimistic":
                q = mdp.reward + np.log(gamma * mdp.transition @ np.exp(v) + 1 - gamma)
            else:
                q = mdp.reward + gamma * mdp.transition @ v
            v = np.log(np.exp(q).sum(-1))
        messages = inference.backward_messages(discounted, horizon, mode=mode)
        np.testing.assert_allclose(messages.v[0, :3], v, **EXACT)
        np.testing.assert_allclose(messages.v[:, 3], 0.0, atol=1e-14)  # the rounding of 1 − γ + γ


def test_discounting_keeps_a_hard_prior_and_a_reward_that_changes_with_time():
    mdp = models.random_mdp(10, 3, 3, horizon=4, prior="hard")
    discounted = inference.with_absorbing_discount(mdp, 0.9)
    paths = enumeration.trajectories(discounted, 4)
    result = inference.posterior(discounted, 4, temperature=0.5)
    np.testing.assert_allclose(result.log_evidence, enumeration.log_evidence(paths, 0.5), **EXACT)


def test_posterior_samples_have_the_marginals_and_obey_the_dynamics():
    mdp, horizon, count = models.random_mdp(11, 3, 2), 4, 20_000
    result = inference.posterior(mdp, horizon)
    states, actions = inference.sample_posterior(jax.random.key(0), result, num_samples=count)
    assert states.shape == actions.shape == (count, horizon)
    for time in range(horizon):
        pairs = np.bincount(np.asarray(states[:, time] * 2 + actions[:, time]), minlength=6).reshape(3, 2) / count
        expected = np.asarray(result.state_action_marginals[time])
        # five standard errors of a frequency
        assert np.all(np.abs(pairs - expected) < 5 * np.sqrt(expected * (1 - expected) / count) + 1e-12)
    steps = np.asarray(mdp.transition)[states[:, :-1], actions[:, :-1], states[:, 1:]]
    assert np.all(steps > 0)


def test_sampling_works_at_horizon_one():
    result = inference.posterior(models.random_mdp(12, 2, 2), 1)
    states, actions = inference.sample_posterior(jax.random.key(1), result, num_samples=5)
    assert states.shape == actions.shape == (5, 1)
    assert result.dynamics.shape == (0, 2, 2, 2)


def test_a_batch_by_vmap_is_the_loop_over_its_members():
    batch = [models.random_mdp(seed, 3, 2, prior="hard") for seed in range(4)]
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *batch)
    temperatures = jnp.array([0.001, 0.5, 1.0, 3.0])
    for mode, parallel in (("optimistic", False), ("optimistic", True), ("variational", False)):
        solve = lambda mdp, a, mode=mode, parallel=parallel: inference.backward_messages(
            mdp, 5, temperature=a, mode=mode, parallel=parallel
        )
        together = jax.vmap(solve)(stacked, temperatures)
        for index, (mdp, temperature) in enumerate(zip(batch, temperatures, strict=True)):
            np.testing.assert_allclose(together.v[index], solve(mdp, temperature).v, rtol=1e-13, atol=1e-13)


def test_a_temperature_sweep_traces_once():
    mdp, traces = models.random_mdp(13, 3, 2), []

    @jax.jit
    def evidence(temperature):
        traces.append(temperature)
        return inference.posterior(mdp, 5, temperature=temperature).log_evidence

    for temperature in (0.1, 1.0, 10.0):
        evidence(temperature)
    assert len(traces) == 1


def test_no_gradient_is_nan_at_zero_probabilities_and_missing_actions():
    mdp = models.random_mdp(14, 4, 3, horizon=5, prior="hard")
    mdp = jax.tree.map(jnp.asarray, mdp._replace(initial=np.array([1.0, 0.0, 0.0, 0.0])))

    def everything(mdp, temperature):
        result = inference.posterior(mdp, 5, temperature=temperature)
        forward = inference.forward_messages(mdp, 5, temperature=temperature)
        logs = [forward.log_alpha]
        for parallel in (False, True):
            logs.append(inference.backward_messages(mdp, 5, temperature=temperature, parallel=parallel).log_policy)
        parts = [jnp.where(x > -jnp.inf, x, 0.0) for x in logs]
        parts += [result.log_evidence, result.state_action_marginals**2, result.dynamics**2]
        return sum(jnp.sum(x) for x in parts)  # no NaN is lost in a sum

    gradients = jax.jit(jax.grad(everything, (0, 1)))(mdp, 0.7)  # one program
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradients))


def test_single_precision_does_not_underflow_where_plain_exponentials_would():
    # Values reach −2000 nats; exp(−104) is already 0 in float32.
    mdp = models.random_mdp(15, 6, 3)
    mdp = mdp._replace(reward=50.0 * mdp.reward - 60.0)
    reference = inference.posterior(mdp, 30)
    with jax.enable_x64(False):
        result = inference.posterior(mdp, 30)
        assert result.log_policy.dtype == jnp.float32
    np.testing.assert_allclose(result.log_evidence, reference.log_evidence, rtol=1e-5)
    # A value of 2000 in float32 is known to 1e-4, and so is a log probability.
    np.testing.assert_allclose(result.state_action_marginals, reference.state_action_marginals, atol=2e-3)
    np.testing.assert_allclose(np.exp(result.log_policy).sum(-1), 1.0, rtol=1e-5)
