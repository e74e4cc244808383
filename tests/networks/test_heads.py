"""Policy, ensemble and value heads: shapes, ranges, and members of an ensemble that do not share."""

import jax
import numpy as np
import pytest

from softrl import networks, numpy_network
from softrl.layers import perceptron

BOUNDS = {"log_std_min": -4.0, "log_std_max": 1.0}
POLICY = networks.policy(perceptron([16], 4, head_scale=0.01), 3, **BOUNDS)
CRITIC = networks.soft_q(perceptron([16], 1), 3, 2, num_critics=3)
act = jax.jit(lambda params, obs: POLICY.apply(params, (), obs)[0])
judge = jax.jit(lambda params, obs, action: CRITIC.apply(params, (), obs, action)[0])


@pytest.fixture(scope="module")
def policy():
    return jax.jit(POLICY.init)(jax.random.key(0))[0]


@pytest.fixture(scope="module")
def critic():
    return jax.jit(CRITIC.init)(jax.random.key(0))[0]


def test_a_policy_outside_its_std_range_cannot_explore_or_cannot_stop(policy):
    obs = np.random.default_rng(0).normal(size=(64, 3)).astype(np.float32)
    extreme = jax.tree.map(lambda p: 100.0 * np.asarray(p) + 1.0, policy)
    for params in (policy, extreme, jax.tree.map(np.negative, extreme)):
        dist = act(params, 50.0 * obs)
        assert dist.mean.shape == dist.log_std.shape == (64, 2)
        assert (dist.log_std >= -4.0).all() and (dist.log_std <= 1.0).all()


def test_a_fresh_policy_acts_near_zero_with_the_middle_std(policy):
    dist = act(policy, np.random.default_rng(0).normal(size=(64, 3)).astype(np.float32))
    # The head's weights have a hundredth of the usual variance: outputs of about 0.1.
    assert np.abs(dist.mean).mean() < 0.2
    assert np.abs(dist.log_std + 1.5).mean() < 0.5


def test_a_clipped_policy_starts_with_a_std_of_one_and_stays_in_its_range():
    init, forward = networks.policy(perceptron([16], 4, head_scale=0.01), 3, **BOUNDS, log_std_map="clip")
    params, _ = init(jax.random.key(0))
    obs = np.random.default_rng(0).normal(size=(64, 3)).astype(np.float32)
    assert np.abs(forward(params, (), obs)[0].log_std).mean() < 0.2
    for sign in (1.0, -1.0):
        dist, _ = forward(jax.tree.map(lambda p, sign=sign: sign * (100.0 * p + 1.0), params), (), obs)
        assert (dist.log_std >= -4.0).all() and (dist.log_std <= 1.0).all()


@pytest.mark.parametrize("how", ["tanh", "clip"])
def test_numpy_puts_a_standard_deviation_where_jax_puts_it(how):
    out, noise = np.random.default_rng(0).normal(size=(2, 64, 4)).astype(np.float32) * 4.0
    forward = networks.policy((), 4, **BOUNDS, log_std_map=how).apply
    dist, _ = forward({}, (), out)
    expected = np.tanh(dist.mean + np.exp(dist.log_std) * noise[:, :2])
    acted = numpy_network.TanhGaussian(2, -4.0, 1.0, how).act(out, noise[:, :2])
    np.testing.assert_allclose(acted, expected, atol=1e-6)


def test_critics_that_start_alike_stay_one_critic(critic):
    q = judge(critic, np.ones((6, 3), np.float32), np.ones((6, 2), np.float32))
    assert q.shape == (3, 6)
    assert len(np.unique(q[:, 0])) == 3


def test_each_critic_of_the_ensemble_is_a_network_of_its_own(critic):
    first = lambda params: judge(params, np.ones((6, 3), np.float32), np.ones((6, 2), np.float32))[0].sum()
    leaves = jax.tree.leaves(jax.jit(jax.grad(first))(critic))
    for leaf in leaves:
        np.testing.assert_array_equal(leaf[1:], 0.0)
    assert any(np.abs(leaf[0]).max() > 0 for leaf in leaves)


def test_a_critic_that_does_not_see_the_action_cannot_improve_a_policy(critic):
    q = [judge(critic, np.ones((6, 3), np.float32), np.full((6, 2), a, np.float32)) for a in (-1.0, 1.0)]
    assert (q[0] != q[1]).all()


def test_a_value_network_gives_one_number_an_observation():
    value = networks.soft_v(perceptron([16], 1), 3)
    params, batch_stats = jax.jit(value.init)(jax.random.key(0))
    v, after = jax.jit(value.apply)(params, batch_stats, np.ones((6, 3), np.float32))
    assert v.shape == (6,) and after == batch_stats == ()
