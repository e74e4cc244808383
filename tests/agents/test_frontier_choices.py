"""What soft actor-critic can be beyond the published one: critics of distributions, batch norm, schedules, resets."""

import math
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import softrl
from softrl.agents import schedule
from softrl.agents.sac import SACHypers
from softrl.agents.sac.critic import belief_of
from softrl.clock import Clock, Counter
from softrl.errors import ConfigError
from softrl.layers import perceptron
from softrl.networks import network
from tests import tiny
from tests.agents.test_discrete_sac import ALPHA, FINAL, TABLES, learned
from tests.agents.test_sac import ROWS, SMALL, batch, bench, stepped
from tests.oracles import chain

pytestmark = pytest.mark.usefixtures("compiled_once")

CATEGORICAL = replace(SMALL, critic="categorical", atoms=21)
HYPERS = jax.tree.map(jnp.float32, replace(SACHypers(), target_entropy=0.0, rate_updates=math.inf))


@pytest.mark.slow
@pytest.mark.parametrize("reduction", ["min", "mean"])
def test_a_categorical_critic_ends_in_the_soft_fixed_point_of_the_table(reduction):
    q, _, policy = chain.solve(chain.TRANSITION, chain.REWARD, FINAL, ALPHA)
    bound = 1.5 * np.abs(q).max()
    config = replace(TABLES, critic="categorical", atoms=41, critic_reduction=reduction)
    found = learned(config, return_bound=float(bound))
    logits = found.q.reshape(*found.q.shape[:-1], 3, 41)
    probs = np.exp(logits - logits.max(-1, keepdims=True))
    values = (probs / probs.sum(-1, keepdims=True)) @ np.linspace(-bound, bound, 41)
    # As critics of one number; a softmax comes to rest more slowly, a hundredth of the bound.
    np.testing.assert_allclose(values, np.broadcast_to(q[:2], values.shape), atol=0.01 * bound)
    np.testing.assert_allclose(found.policy, policy[:2], atol=0.01)


def test_the_target_is_the_exact_distribution_of_what_is_earned():
    """Two critics, of which the one with the smaller mean counts; entropy inside the support; the end of an episode."""
    belief, rows, count, bound = belief_of(CATEGORICAL), 5, 21, 5.0
    generator = np.random.default_rng(0)
    probs = generator.dirichlet(np.ones(count), (2, rows))
    reward, ratio = generator.normal(size=(2, rows))
    discount, alpha = np.array([0.99, 0.9, 0.0, 0.5, 0.97]), 0.2
    support, gap = np.linspace(-bound, bound, count), 2 * bound / (count - 1)
    expected = np.zeros((rows, count))
    for row in range(rows):
        pessimist = probs[np.argmin(probs[:, row] @ support), row]
        for mass, z in zip(pessimist, support, strict=True):
            y = np.clip(reward[row] + discount[row] * (z - alpha * ratio[row]), -bound, bound)
            expected[row] += mass * np.maximum(0.0, 1.0 - np.abs(y - support) / gap)
    with jax.enable_x64(True):
        numbers = [jnp.asarray(x) for x in (np.log(probs), ratio, reward, discount)]
        found = belief.target(*numbers, alpha, replace(HYPERS, return_bound=bound))
    np.testing.assert_allclose(found.belief, expected, atol=1e-6)


def test_rewards_scaled_by_returns_leave_numbers_in_the_users_units():
    """A thousand times the rewards: the same scaled problem, a thousand times the reported temperature and Q."""
    config = replace(CATEGORICAL, reward_scaling="returns", auto_temperature=True)
    told = []
    for factor in (1.0, 1000.0):
        made = bench(config)
        size = made.state.returns._replace(
            moments=made.state.returns.moments._replace(
                count=jnp.float32(10.0), variance=jnp.float32((2 * factor) ** 2)
            ),
            largest=jnp.float32(3.0 * factor),
        )
        rows = batch()
        told.append(stepped(made, rows._replace(reward=factor * rows.reward), state=made.state._replace(returns=size)))
    (one, seen), (other, seen_more) = told
    tiny_error = {"rtol": 1e-4, "atol": 1e-6}
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, **tiny_error), one.critic.params, other.critic.params)
    assert float(seen.reward_divisor) == 2.0
    for name in ("temperature", "q", "reward_divisor"):
        np.testing.assert_allclose(1000.0 * getattr(seen, name), getattr(seen_more, name), rtol=1e-4)


def test_a_temperature_that_is_not_learned_is_in_the_users_units_whatever_rewards_are_divided_by():
    made = bench(replace(SMALL, reward_scaling="returns", auto_temperature=False), temperature=0.5)
    size = made.state.returns._replace(
        moments=made.state.returns.moments._replace(count=jnp.float32(1.0), variance=jnp.float32(16.0))
    )
    state, info = stepped(made, state=made.state._replace(returns=size))
    np.testing.assert_allclose(np.exp(state.temperature.params), 0.5 / 4.0, rtol=1e-6)
    np.testing.assert_allclose(info.temperature, 0.5, rtol=1e-6)


def test_critics_normalised_by_a_batch_see_the_policys_actions_beside_those_of_replay():
    """By hand: one layer, statistics of (s, a) and (s′, a′) together, in the step and in what is kept."""
    config = replace(SMALL, norm="batch", log_std_min=-12.0, log_std_max=-11.0, auto_temperature=False, depth=1)
    made = bench(config, temperature=1e-9, critic_lr=0.0)
    rows = batch()
    state, info = stepped(made, rows)
    layer = lambda params, name: jax.tree.map(lambda x: np.asarray(x, np.float64), params["params"][name])
    policy, normed = made.state.policy.params, jax.device_get(made.state.policy.batch_stats["BatchNorm_0"])
    hidden = np.asarray(rows.next_obs) @ layer(policy, "Dense_0")["kernel"] + layer(policy, "Dense_0")["bias"]
    hidden = (hidden - normed["mean"]) / np.sqrt(normed["var"] + 1e-5)  # as it acts: running statistics
    hidden = np.maximum(hidden * layer(policy, "BatchNorm_0")["scale"] + layer(policy, "BatchNorm_0")["bias"], 0.0)
    next_action = np.tanh((hidden @ layer(policy, "Dense_1")["kernel"] + layer(policy, "Dense_1")["bias"])[:, :2])
    both = np.concatenate([np.concatenate([rows.obs, rows.action], 1), np.concatenate([rows.next_obs, next_action], 1)])
    critic, ends, moved = made.state.critic.params, [], []
    for k in range(2):
        part = lambda name, k=k: {at: x[k] for at, x in layer(critic, name).items()}
        hidden = both @ part("Dense_0")["kernel"] + part("Dense_0")["bias"]
        mean, var = hidden.mean(0), hidden.var(0)
        moved.append(0.01 * mean)
        hidden = (hidden - mean) / np.sqrt(var + 1e-5) * part("BatchNorm_0")["scale"] + part("BatchNorm_0")["bias"]
        ends.append((np.maximum(hidden, 0.0) @ part("Dense_1")["kernel"] + part("Dense_1")["bias"])[:, 0])
    now, then = np.split(np.stack(ends), 2, axis=1)
    target = np.asarray(rows.reward) + np.asarray(rows.discount) * then.min(0)
    # float32, and a policy whose std is e⁻¹² … e⁻¹¹ instead of 0.
    np.testing.assert_allclose(info.critic_loss, 0.5 * np.square(now - target).mean(1).sum(), rtol=1e-3)
    np.testing.assert_allclose(state.critic.batch_stats["BatchNorm_0"]["mean"], moved, rtol=1e-3, atol=1e-6)


def test_without_target_network_critics_are_their_own_targets():
    made = bench(replace(SMALL, target_network=False))
    copied = bench(SMALL, tau=1.0)  # copies that are always new are no copies
    assert made.state.target == ()
    states = [made.state, copied.state]
    for _ in range(3):
        (one, seen), (other, also) = (
            stepped(which, state=state) for which, state in zip((made, copied), states, strict=True)
        )
        states = [one, other]
        np.testing.assert_allclose(seen.critic_loss, also.critic_loss, rtol=1e-6)


@pytest.mark.parametrize("gone, expected", [(0, 1.0), (50, 0.55), (100, 0.1), (10_000, 0.1)])
def test_rates_fall_along_half_a_cosine_to_their_end(gone, expected):
    clock = Clock(Counter.of(0), Counter.of(gone))
    np.testing.assert_allclose(schedule.cosine(clock.update, jnp.float32(0.1), jnp.float32(100.0)), expected, rtol=1e-5)


def test_rates_stay_as_they_are_by_default():
    hypers = schedule.moved(HYPERS, Clock(Counter.of(0), Counter.of(10**9)), "policy_lr", "critic_lr")
    assert hypers.policy_lr == HYPERS.policy_lr and hypers.critic_lr == HYPERS.critic_lr


@pytest.mark.parametrize(
    "networks",
    [pytest.param("heads", marks=pytest.mark.slow), "critics", pytest.param("all", marks=pytest.mark.slow)],
)
def test_a_reset_begins_networks_anew_at_its_time_and_nothing_else(networks):
    made = bench(replace(SMALL, reset_every=3, reset_networks=networks), critic_lr=0.0, policy_lr=0.0, tau=0.5)
    begun = made.state._replace(target=jax.tree.map(jnp.zeros_like, made.state.target))
    for at in (0, 1, 2):
        state, _ = stepped(made, at=at, state=begun)
        assert all(map(np.array_equal, jax.tree.leaves(state.critic.params), jax.tree.leaves(begun.critic.params)))
    state, _ = stepped(made, at=3, state=begun)
    changed = lambda net: {
        name: not np.array_equal(part["kernel"], net_before["kernel"])
        for (name, part), net_before in zip(
            getattr(state, net).params["params"].items(), getattr(begun, net).params["params"].values(), strict=True
        )
    }
    whole = networks != "heads"
    assert changed("critic") == {"Dense_0": whole, "Dense_1": True}
    assert changed("policy") == {"Dense_0": networks == "all", "Dense_1": networks != "critics"}
    assert all(map(np.array_equal, jax.tree.leaves(state.target), jax.tree.leaves(state.critic.params)))
    assert float(state.temperature.params) != 0.0 or float(begun.temperature.params) == 0.0


def test_unit_weights_stay_on_the_sphere():
    made = bench(replace(SMALL, norm="layer", unit_weights=True))
    for state in (made.state, stepped(made)[0]):
        for net in (state.policy, state.critic):
            norms = np.linalg.norm(net.params["params"]["Dense_0"]["kernel"], axis=-2)
            np.testing.assert_allclose(norms, 1.0, rtol=1e-5)


def test_products_in_bfloat16_are_those_of_updates_only():
    """Acting is in float32 to the bit; an update differs by what eight bits of a factor are worth."""
    half, full = bench(replace(SMALL, precision="bfloat16")), bench(SMALL)
    rows = batch()
    (one, seen), (_, also) = stepped(half, rows), stepped(full, rows)
    assert seen.critic_loss != also.critic_loss
    np.testing.assert_allclose(seen.critic_loss, also.critic_loss, rtol=0.05)
    actions = [
        made.agent.act(made.agent.policy(full.state), made.agent.carry(ROWS, None), rows.obs, None)[0]
        for made in (half, full)
    ]
    np.testing.assert_array_equal(*actions)
    assert one.critic.params["params"]["Dense_0"]["kernel"].dtype == jnp.float32


def test_values_keep_their_digits_where_products_are_in_bfloat16():
    """The head's numbers are values: eight bits of a Q of a thousand are steps of four."""
    head, rows = perceptron((8,), 1), jnp.linspace(-1.0, 1.0, 5)[:, None]
    half, full = (network(head, 1, precision) for precision in ("bfloat16", "float32"))
    params, _ = full.init(jax.random.key(0))
    params = jax.tree_util.tree_map_with_path(lambda path, x: x + 1000.3 if "Dense_1" in str(path) else x, params)
    one, other = (made.apply(params, (), rows)[0] for made in (half, full))
    np.testing.assert_allclose(one, other, rtol=2e-3)
    assert len(np.unique(np.asarray(one) % 1.0)) > 1, "all of them whole numbers"


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"critic": "categorical", "backup": "optimistic"}, "backup optimistic is of critics of one number"),
        ({"critic": "categorical", "value_network": True}, "with value_network critic must be scalar"),
        ({"backup": "optimistic", "gamma": 0.0}, "set gamma above 0"),
        ({"target_network": False, "value_network": True}, "with value_network target_network must be True"),
    ],
)
def test_choices_that_contradict_one_another_are_refused(changes, words):
    with pytest.raises(ConfigError, match=words):
        softrl.train(tiny.config(**changes))


def test_a_learner_whom_others_feed_refuses_to_scale_by_returns_that_it_cannot_add_up():
    config = softrl.change(softrl.LearnerConfig(), reward_scaling="returns")
    spec = jax.ShapeDtypeStruct((3,), jnp.float32)
    with pytest.raises(
        ConfigError, match=r"reward_scaling returns \(fixed does not\), which a learner that others feed"
    ):
        softrl.Learner(config, spec, spec, replay_capacity=1_000)
