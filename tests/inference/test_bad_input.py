"""What a caller gets wrong is refused by name and shape, at the door; and no check stands in the way of a trace."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from softrl import inference
from tests.inference import models

MDP = models.random_mdp(51, 3, 2, prior="soft")
OVER_TIME = MDP._replace(reward=np.zeros((4, 3, 2)))
KEY, FEATURES = jax.random.key(0), np.ones((3, 2, 1))
STEP = lambda state, action: (state, action)
POMDP = inference.POMDP(MDP.transition, np.ones((2, 3, 1)), MDP.reward, MDP.initial)
NAN = np.where(np.arange(6).reshape(3, 2) == 4, np.nan, 0.0)

BAD_MODELS = [
    ({"transition": MDP.transition[0]}, r"transition: .*\(2, 3\).*\[S, A, S\]"),
    ({"transition": np.zeros((0, 2, 0))}, r"transition: .*at least one state"),
    ({"transition": 0.9 * MDP.transition}, r"transition: .*\(3, 2, 3\).*sum to 1.*0\.1"),
    ({"transition": MDP.transition - np.array([2.0, -1.0, -1.0])}, r"transition: .*not negative"),
    ({"reward": MDP.reward.T}, r"reward: .*\(2, 3\).*\[S, A\] = \(3, 2\)"),
    ({"reward": np.zeros((5, 3, 2))}, r"reward: .*\(5, 3, 2\).*\[T, S, A\] = \(4, 3, 2\)"),
    ({"reward": NAN}, r"reward: .*finite numbers; it has 1"),
    ({"initial": np.ones(3)}, r"initial: .*\(3,\).*sum to 1"),
    ({"initial": np.ones(2) / 2}, r"initial: .*\(2,\).*\[S\] = \(3,\)"),
    ({"log_prior": np.zeros((3, 3))}, r"log_prior: .*\(3, 3\).*\[S, A\]"),
    ({"log_prior": NAN}, r"log_prior: .*numbers or -inf"),
    ({"log_prior": np.full((3, 2), -np.inf)}, r"log_prior: .*at least one action a state"),
]

BAD_CALLS = [
    (lambda: inference.backward_messages(MDP, 0), r"horizon: got 0, expected at least 1"),
    (lambda: inference.backward_messages(MDP, 2.5), r"horizon: got 2\.5.*int"),
    (lambda: inference.posterior(MDP, 3, temperature=0.0), r"temperature: got 0\.0, expected a number above 0"),
    (lambda: inference.posterior(MDP, 3, temperature=np.ones(3)), r"temperature: .*\(3,\).*jax\.vmap"),
    (lambda: inference.backward_messages(MDP, 3, mode="variatonal"), r"mode: .*did you mean 'variational'"),
    (lambda: inference.elbo(MDP, np.zeros((3, 2))), r"log_policy: .*\(3, 2\).*\[T, S, A\]"),
    (lambda: inference.elbo(MDP, np.zeros((4, 3, 2))), r"log_policy: .*sum to 1"),
    (lambda: inference.structured_posterior(MDP, 3, dynamics_price=-1.0), r"dynamics_price: got -1\.0"),
    (lambda: inference.with_absorbing_discount(MDP, 1.5), r"gamma: got 1\.5, expected a number in \[0, 1\]"),
    (lambda: inference.soft_value_iteration(MDP, gamma=1.0), r"gamma: got 1\.0, expected a number in \[0, 1\)"),
    (lambda: inference.soft_value_iteration(MDP, gamma=0.9, tol=0.0), r"tol: got 0\.0"),
    (lambda: inference.soft_value_iteration(MDP, gamma=0.9, discount="none"), r"discount: .*'absorbing', 'scaled'"),
    (lambda: inference.soft_policy_evaluation(MDP, np.zeros((2, 2)), gamma=0.9), r"log_policy: .*\(2, 2\)"),
    (
        lambda: inference.soft_value_iteration(MDP._replace(reward=np.zeros((4, 3, 2))), gamma=0.9),
        r"reward: .*\[S, A\]",
    ),
    (lambda: inference.lmdp_average(np.ones((2, 2)), np.ones(2)), r"passive: .*sum to 1"),
    (lambda: inference.lmdp_average(np.eye(3), np.ones(2)), r"passive: .*\(3, 3\).*\[S, S\]"),
    (lambda: inference.sample_posterior(jax.random.key(0), None, num_samples=0), r"num_samples: got 0"),
    (lambda: inference.worst_case_reward(np.zeros(2), np.zeros(3)), r"log_policy: .*\(3,\).*reward"),
    (lambda: inference.gumbel_loss(np.zeros(2), np.zeros(2), beta=0.0), r"beta: got 0\.0"),
    (lambda: inference.posterior(MDP, 3, temperature="warm"), r"temperature: got 'warm', expected real numbers"),
    (lambda: inference.posterior(MDP._replace(reward=MDP.reward + 1j), 3), r"reward: .*\(3, 2\).*real numbers"),
    (lambda: inference.posterior(tuple(MDP), 3), r"mdp: got a tuple, expected a TabularMDP"),
    (lambda: inference.visitation(MDP.initial, np.zeros((2, 2, 2)), MDP.transition), r"log_policy: .*\(T, 3, A\)"),
    (lambda: inference.visitation(MDP.initial, np.zeros((2, 3, 2)), np.zeros((3, 3, 2))), r"dynamics: .*\(3, 3, 2\)"),
    (lambda: inference.gumbel_regression(np.zeros(2), beta=0.0), r"beta: got 0\.0"),
    (lambda: inference.gumbel_regression(np.array([0.0, np.nan]), beta=1.0), r"samples: .*1 that are not"),
    (lambda: inference.moment_projection(np.full((3, 1), np.nan), np.zeros(3)), r"points: .*finite"),
    (lambda: inference.information_projection(lambda x: x, np.zeros(2), np.eye(2)), r"log_density: .*shape \(2,\)"),
    (lambda: inference.free_energy(np.array([1.0, np.nan])), r"costs: .*infinity for a sample that failed"),
    (lambda: inference.mppi_update(KEY, STEP, 0.0, np.zeros((3, 2)), covariance=np.eye(2)), r"step_fn: .*\(2,\)"),
    (lambda: inference.mppi_update(KEY, jnp.add, 0.0, np.zeros((3, 2)), covariance=np.eye(2)), r"step_fn: .*a pytree"),
    (lambda: inference.mppi_plan(KEY, STEP, 0.0, np.full((3, 2), np.nan), covariance=np.eye(2)), r"actions: .*finite"),
    (lambda: inference.iterative_lqr(lambda x, u: u, jnp.dot, np.zeros(3), np.zeros((4, 2))), r"step_fn: .*\[n\]"),
    (lambda: inference.iterative_lqr(jnp.add, jnp.add, np.zeros(2), np.zeros((4, 2))), r"reward_fn: .*\(2,\)"),
    (
        lambda: inference.iterative_lqr(jnp.add, jnp.dot, np.full(2, np.nan), np.zeros((4, 2))),
        r"initial_state: .*finite",
    ),
    (lambda: inference.maxent_irl(MDP, FEATURES, np.ones(1), horizon=2, ridge=-1.0), r"ridge: got -1\.0"),
    (lambda: inference.maxent_irl(MDP, FEATURES, np.ones(1), horizon=2, causal="no"), r"causal: got 'no'"),
    (
        lambda: inference.empirical_visitation(np.zeros((1, 2)), np.zeros((1, 2)), num_states=3, num_actions=2),
        r"states: .*integers",
    ),
    (lambda: inference.belief_update(POMDP, MDP.initial, 2, 0), r"action: got 2, expected an index from 0 to 1"),
    (lambda: inference.belief_update(POMDP, MDP.initial, 0, -1), r"observation: got -1"),
]


@pytest.mark.parametrize(("change", "message"), BAD_MODELS)
def test_a_bad_model_is_refused_with_the_argument_its_shape_and_what_was_expected(change, message):
    with pytest.raises(ValueError, match=message):
        inference.backward_messages(MDP._replace(**change), 4)


@pytest.mark.parametrize(("call", "message"), BAD_CALLS)
def test_a_bad_setting_is_refused_by_name(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_shapes_are_checked_while_tracing_and_values_are_not():
    with pytest.raises(ValueError, match=r"initial: .*\(2,\)"):
        jax.jit(lambda mdp: inference.posterior(mdp, 3))(MDP._replace(initial=np.ones(2)))
    traced = jax.jit(lambda mdp, a: inference.posterior(mdp, 3, temperature=a))(
        MDP._replace(initial=2 * MDP.initial), 1.0
    )
    np.testing.assert_allclose(traced.log_evidence, inference.posterior(MDP, 3).log_evidence + np.log(2))


def test_a_traced_horizon_is_refused_with_the_remedy():
    with pytest.raises(ValueError, match=r"horizon: .*static under jit"):
        jax.jit(lambda horizon: inference.posterior(MDP, horizon))(3)


def test_lists_and_integers_are_welcome_and_dtypes_meet_in_the_widest():
    mdp = inference.TabularMDP([[[0, 1], [1, 0]], [[1, 0], [0, 1]]], [[0, 1], [2, 3]], [1, 0])
    assert inference.backward_messages(mdp, 2).v.dtype == jnp.float32
    assert inference.backward_messages(MDP._replace(reward=MDP.reward.astype(np.float32)), 2).v.dtype == jnp.float64


@pytest.mark.slow
def test_every_solver_runs_under_jit_with_its_whole_problem_traced():
    mdp = MDP._replace(reward=MDP.reward - 3.0)
    policy = models.random_log_policy(0, mdp, 4)
    solvers = {
        "discount": lambda m, a: inference.with_absorbing_discount(m, a / 2).transition,
        "elbo": lambda m, a: inference.elbo(m, policy, temperature=a),
        "gap": lambda m, a: inference.optimism_gap(m, 4, temperature=a),
        "price": lambda m, a: inference.structured_posterior(m, 4, temperature=a, dynamics_price=2 + a).bound,
        "evaluation": lambda m, a: inference.soft_policy_evaluation(m, policy[0], gamma=a / 2, temperature=a).v,
        "optimistic": lambda m, a: inference.soft_value_iteration(m, gamma=a / 2, temperature=a, mode="optimistic").v,
        "average": lambda m, a: inference.optimistic_average(m, temperature=a).log_vector,
    }
    for name, solve in solvers.items():
        slope = jax.grad(lambda m, a, solve=solve: jnp.sum(solve(m, a) ** 2))
        both = jax.jit(lambda m, a, solve=solve, slope=slope: (solve(m, a), slope(m, a)))  # one program, not two
        value, gradient = both(jax.tree.map(jnp.asarray, mdp), 0.8)
        np.testing.assert_allclose(value, solve(mdp, 0.8), atol=1e-12, err_msg=name)
        assert all(np.isfinite(leaf).all() for leaf in gradient), name
