"""What a caller gets wrong is refused by name and shape, at the door; and no check stands in the way of a trace."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from softrl import inference
from tests.inference import models

MDP = models.random_mdp(51, 3, 2, prior="soft")
OVER_TIME = MDP._replace(reward=np.zeros((4, 3, 2)))
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
        np.testing.assert_allclose(jax.jit(solve)(mdp, 0.8), solve(mdp, 0.8), atol=1e-12, err_msg=name)
        gradient = jax.jit(jax.grad(lambda m, a, solve=solve: jnp.sum(solve(m, a) ** 2)))(
            jax.tree.map(jnp.asarray, mdp), 0.8
        )
        assert all(np.isfinite(leaf).all() for leaf in gradient), name
