"""Soft Q-learning against exact answers: soft values, the sampler's directions and density, tables, one update."""

import dataclasses
import itertools
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import softrl
from softrl import networks
from softrl.agents.soft_q import SoftQConfig, SoftQHypers, SoftQState, actor, build, mmd, sampler, stein
from softrl.agents.soft_q.actions import kind_of, soft_of
from softrl.agents.soft_q.algorithm import summary
from softrl.algorithm import Agent
from softrl.clock import Clock
from softrl.config import change
from softrl.distributions import tanh_gaussian
from softrl.errors import ConfigError, ExportError
from softrl.export import check, stablehlo
from softrl.export import onnx as onnx_file
from softrl.layers import perceptron
from softrl.numpy_network import Sampler
from softrl.numpy_policy import Input, NumpyPolicy, PolicySpec, decode, encode, shapes
from softrl.training import config as training_config
from softrl.types import Batch, Continuous, Discrete, EnvSpec, Window
from tests import tiny
from tests.oracles import bimodal_bandit as bandit
from tests.oracles import soft_tables as tables

OBS, ROWS = 3, 8
SPEC = EnvSpec("numbers", jax.ShapeDtypeStruct((OBS,), jnp.float32), Continuous(2), 4, 100)
CHOICE = SPEC._replace(action=Discrete(4))
SMALL = SoftQConfig(
    width=8, depth=1, norm="none", normalize_obs=False, activation="tanh", value_particles=4, stein_particles=4
)


# Soft values


def test_a_draws_expected_soft_value_is_low_by_exactly_the_known_bias():
    """K = 1, 2 of uniform actions and of a tanh-Gaussian's, the expectation by quadrature over them."""
    grid, weights, q = bandit.GRID, bandit.WEIGHTS, bandit.q(bandit.GRID)
    u = np.arctanh(grid)
    gaussian = np.exp(-0.5 * ((u - 0.2) / 0.8) ** 2) / (0.8 * np.sqrt(2 * np.pi)) / (1 - grid**2)
    for density, one, two in zip((np.full_like(grid, 0.5), gaussian), bandit.ONE_DRAW, bandit.TWO_DRAWS, strict=True):
        log_weight, chance = -np.log(density), weights * density
        single = soft_of(jnp.float32(q[:, None]), jnp.float32(log_weight[:, None]), jnp.float32(0.2)).value
        # float32 at values about 1, and weights that fall off by e⁻³⁰⁰.
        assert abs(np.asarray(single, np.float64) @ chance - one) < 1e-5
        coarse, coarse_weights = np.polynomial.legendre.leggauss(300)
        density = np.interp(coarse, grid, density)
        pairs = np.meshgrid(coarse, coarse, indexing="ij")
        pair_q = jnp.float32(np.stack([bandit.q(a) for a in pairs], -1).reshape(-1, 2))
        pair_weight = -np.stack([np.log(np.interp(a, coarse, density)) for a in pairs], -1).reshape(-1, 2) - np.log(2.0)
        double = np.asarray(soft_of(pair_q, jnp.float32(pair_weight), jnp.float32(0.2)).value, np.float64)
        product = np.outer(coarse_weights * density, coarse_weights * density).ravel()
        assert abs(double @ product - two) < 2e-4  # 300 nodes, and a density between 2,000 others


@pytest.mark.parametrize(
    "count, bias", [(1, -0.5538953374413047), (2, -0.29347716833446913), (4, -0.13859927848208775)]
)
def test_of_discrete_draws_the_bias_is_the_enumerated_one(count, bias):
    arms = np.float32([0.0, 1.0, -1.0, 2.0])
    every = jnp.asarray([arms[list(draw)] for draw in itertools.product(range(4), repeat=count)])
    found = soft_of(every, jnp.full(every.shape, -np.log(count)), jnp.float32(1.0)).value.mean()
    assert abs(float(found) - 1.0538953374413047 - bias) < 1e-5


def test_discrete_soft_values_are_sums_over_all_actions_and_their_means_those_of_the_boltzmann_policy():
    kind = kind_of(SMALL, CHOICE)
    params, _ = kind.critic.init(jax.random.key(0))
    obs = jnp.asarray(np.random.default_rng(0).normal(size=(ROWS, OBS)), jnp.float32)
    support = kind.support((), obs, jax.random.key(0))
    q = np.asarray(kind.critic.apply(params, (), obs, support.action)[0][0], np.float64)
    found = soft_of(jnp.float32(q), support.log_weight, jnp.float32(0.3))
    weights = np.exp(q / 0.3)
    np.testing.assert_allclose(found.value, 0.3 * np.log(weights.sum(1)), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found.q, (weights * q).sum(1) / weights.sum(1), rtol=1e-5, atol=1e-6)


# Stein's direction


def test_particles_of_a_linear_kernel_come_to_rest_at_the_exact_mean_and_variance():
    """Kernel 1 + xy, target N(1.3, 0.25): stationary particles have its mean and (biased) variance."""
    linear = lambda x, y: 1.0 + jnp.einsum("bja,bia->bji", x, y)
    first = jnp.asarray([-1.0, 0.0, 0.5, 2.0, 3.0]).reshape(1, 5, 1)
    step = lambda _, x: x + 0.02 * stein.direction(x, -(x - 1.3) / 0.25, linear)
    last = np.asarray(jax.jit(lambda x: jax.lax.fori_loop(0, 20_000, step, x))(first))
    # float32.
    assert abs(last.mean() - 1.3) < 1e-4 and abs(last.var() - 0.25) < 1e-4


def test_the_direction_is_the_sum_that_the_paper_writes():
    rng = np.random.default_rng(0)
    x, score = rng.normal(size=(2, 4, 3)), rng.normal(size=(2, 4, 3))
    kernel = lambda x, y: jnp.exp(-jnp.sum(jnp.square(x[:, :, None] - y[:, None]), -1))
    gap = x[:, :, None] - x[:, None]  # j, i
    k = np.exp(-np.square(gap).sum(-1))[..., None]
    expected = (k * score[:, :, None] - 2.0 * gap * k).mean(1)
    np.testing.assert_allclose(stein.direction(jnp.float32(x), jnp.float32(score), kernel), expected, atol=1e-6)


def test_draws_from_the_target_are_moved_nowhere_on_average_without_self_pairs():
    """With them every particle is pulled uphill by E[x ∇ log p]/K = −1/4 here, and a sampler would be too narrow."""
    x = jax.random.normal(jax.random.key(0), (100_000, 4, 1))
    fixed = lambda x, y: jnp.exp(-jnp.sum(jnp.square(x[:, :, None] - y[:, None]), -1))
    for kernel, expected in ((stein.of_others(fixed), 0.0), (fixed, -0.25)):
        pull = np.asarray(x * stein.direction(x, -x, kernel)).reshape(len(x), -1).mean(1)
        # Without self pairs the sum of three is divided by three: 4/4 · 4/3 of what is in the mean of four.
        assert abs(pull.mean() - expected) < 5.0 * pull.std() / np.sqrt(len(x)), kernel


def test_the_bandwidth_is_the_median_at_each_state_and_never_zero():
    x = jnp.asarray([[[0.0], [1.0], [3.0]], [[2.0], [2.0], [2.0]]])
    found = np.asarray(stein.rbf(stein.bandwidth(x))(x, x))
    squares = np.square(np.asarray(x[0]) - np.asarray(x[0]).T)
    expected = np.mean([np.exp(-c * squares / np.median(squares)) for c in stein.SCALES], axis=0)
    np.testing.assert_allclose(found[0], expected, rtol=1e-6)
    np.testing.assert_array_equal(found[1], 1.0)


# The flow that knows masses


def gaussian(x, y):
    return jnp.exp(-jnp.sum(jnp.square(x[:, :, None] - y[:, None]), -1))


def test_the_flow_is_the_sum_over_weighed_draws_less_that_over_other_particles():
    rng = np.random.default_rng(1)
    x, y, share = rng.normal(size=(2, 4, 3)), rng.normal(size=(2, 5, 3)), rng.dirichlet(np.ones(5), 2)

    def slopes(to):  # of exp(−|x − y|²) in x: i, j, component
        gap = x[:, :, None] - to[:, None]
        return -2.0 * gap * np.exp(-np.square(gap).sum(-1))[..., None]

    expected = (slopes(y) * share[:, None, :, None]).sum(2) - slopes(x).sum(2) / 3.0  # its own slope is zero
    found = mmd.direction(jnp.float32(x), jnp.float32(y), jnp.float32(share), gaussian)
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_draws_from_the_target_are_moved_nowhere_on_average_by_weighed_draws_of_it():
    """Of a standard normal: x its own draws, y uniform on (−5, 5), weighed by its density."""
    x = jax.random.normal(jax.random.key(0), (50_000, 4, 1))
    y = jax.random.uniform(jax.random.key(1), (50_000, 64, 1), minval=-5.0, maxval=5.0)
    share = 10.0 / 64 * jnp.exp(-0.5 * jnp.square(y[..., 0])) / np.sqrt(2.0 * np.pi)  # not scaled to 1: no bias
    pull = np.asarray(x * mmd.direction(x, y, share, gaussian)).reshape(len(x), -1).mean(1)
    assert abs(pull.mean()) < 5.0 * pull.std() / np.sqrt(len(x))


def test_between_two_modes_the_flow_goes_to_the_one_that_lacks_particles():
    """Three quarters of the density are at 1, half of the particles: at 0 Stein's direction feels nothing of it."""
    x = jnp.asarray([-1.0, -1.0, -1.0, 0.0, 1.0, 1.0, 1.0]).reshape(1, 7, 1)
    y, share = jnp.asarray([-1.0, 1.0]).reshape(1, 2, 1), jnp.asarray([[0.25, 0.75]])
    at_rest = jnp.zeros_like(x)  # every particle is where the density is level
    assert abs(stein.direction(x, at_rest, stein.of_others(gaussian))[0, 3, 0]) < 1e-6
    assert mmd.direction(x, y, share, gaussian)[0, 3, 0] > 0.3


def test_a_single_draw_with_all_the_weight_counts_for_nothing():
    share = jnp.asarray([[1.0, 0.0, 0.0, 0.0], [0.25, 0.25, 0.25, 0.25], [0.5, 0.5, 0.0, 0.0]])
    np.testing.assert_allclose(mmd.effective_share(share), [0.0, 1.0, 1.0 / 3.0], atol=1e-6)
    np.testing.assert_array_equal(mmd.effective_share(jnp.ones((2, 1))), 0.0)


def test_a_run_from_before_the_flow_goes_on_without_it():
    told = softrl.config.to_json(softrl.preset("gym/Pendulum-v1", algorithm="soft-q"))
    assert told["hypers"].pop("mass_weight") == 10.0
    assert training_config.read(told).hypers.mass_weight == 0.0 and "mass_weight" not in told["hypers"]


# The sampler's density


def linear_sampler(kernel, bias):
    """u = ξ + [s; ξ] W + b."""
    size = len(bias)
    network = networks.network(perceptron((), size), len(kernel))
    return network, {"params": {"Dense_0": {"kernel": jnp.float32(kernel), "bias": jnp.float32(bias)}}}


def test_the_density_of_a_linear_sampler_is_that_of_its_gaussian():
    rng = np.random.default_rng(0)
    kernel, bias = rng.normal(size=(OBS + 2, 2)), rng.normal(size=2)
    network, params = linear_sampler(kernel, bias)
    obs, noise = rng.normal(size=(4, OBS)), rng.normal(size=(4, 5, 2))
    found = sampler.draws(network, params, jnp.float32(obs), jnp.float32(noise))
    slope = np.eye(2) + kernel[OBS:]
    u = (obs @ kernel[:OBS] + bias)[:, None] + noise @ slope
    np.testing.assert_allclose(found.action, np.tanh(u), atol=1e-5)
    normal = -0.5 * np.square(noise).sum(-1) - np.log(2 * np.pi) - np.log(abs(np.linalg.det(slope)))
    np.testing.assert_allclose(found.log_prob, normal - np.log(1.0 - np.tanh(u) ** 2).sum(-1), rtol=1e-3, atol=1e-3)


def test_a_value_of_the_samplers_own_draws_is_weighed_by_their_density():
    """As sampler tanh(N(0.2, 0.8²)), one draw: its known bias; of many draws the value itself."""
    network, params = linear_sampler([[0.0], [-0.2]], [0.2])
    nodes, weights = np.polynomial.hermite_e.hermegauss(180)
    found = sampler.draws(network, params, jnp.zeros((1, 1)), jnp.float32(nodes.reshape(1, -1, 1)))
    q, weights = bandit.q(np.asarray(found.action[0], np.float64)), weights / weights.sum()
    one = soft_of(jnp.float32(q), -found.log_prob[0][:, None], jnp.float32(0.2)).value
    # 180 nodes over two narrow modes.
    assert abs(np.asarray(one, np.float64) @ weights - bandit.ONE_DRAW[1]) < 2e-3
    noise = jax.random.normal(jax.random.key(0), (1, 400_000, 1))
    many = sampler.draws(network, params, jnp.zeros((1, 1)), noise)
    q = jnp.float32(bandit.q(many.action[..., 0], of=jnp))
    value = soft_of(q, -many.log_prob - np.log(noise.shape[1]), jnp.float32(0.2)).value
    assert abs(float(value[0]) - bandit.VALUE) < 2e-3  # weights vary by 1.3 of their mean: five standard errors


# Tables: the critic is a table where observations are one-hot and it has no hidden layer


@pytest.mark.parametrize("table, values", [(tables.RING, tables.RING_VALUES), (tables.CHAIN, tables.CHAIN_VALUES)])
def test_discrete_actions_reach_the_soft_fixed_point_and_its_boltzmann_policy(table, values):
    states, actions = table.reward.shape
    expected = tables.q_star(table)
    exact = table.temperature * np.log(np.exp(expected / table.temperature).sum(1))[: len(values)]
    np.testing.assert_allclose(exact, values, atol=1e-9)
    spec = SPEC._replace(obs=jax.ShapeDtypeStruct((states,), jnp.float32), action=Discrete(actions))
    agent = build(dataclasses.replace(SMALL, depth=0), spec)
    s, a, after = (x.ravel() for x in np.meshgrid(*map(np.arange, table.transition.shape), indexing="ij"))
    one_hot = lambda x: jnp.asarray(np.eye(states)[x], jnp.float32)
    # Every row once, as heavy as it is probable: an update is the expected one.
    rows = Batch(
        one_hot(s), jnp.int32(a), jnp.float32(table.reward[s, a]), jnp.float32(table.gamma * table.live[after]),
        one_hot(after), jnp.float32(table.transition[s, a, after]), jnp.arange(len(s)),
    )  # fmt: skip
    state, hypers = begun(agent, gamma=table.gamma, temperature=table.temperature, tau=0.2, critic_lr=0.02)

    def improve(i, state):
        rate = dataclasses.replace(hypers, critic_lr=hypers.critic_lr * jnp.where(i < 3000, 1.0, 0.05))
        return agent.update(state, rows, rate, jax.random.key(0), Clock.start())[0]

    state = jax.jit(lambda state: jax.lax.fori_loop(0, 4000, improve, state))(state)
    q = np.asarray(agent_q(spec, state, one_hot(np.arange(states))))
    alive = table.live > 0
    np.testing.assert_allclose(q[alive], expected[alive], atol=1e-2)
    logits = actor(dataclasses.replace(SMALL, depth=0), spec, agent.policy(state)).outputs([np.eye(states)])
    chosen = np.exp(logits - logits.max(1, keepdims=True))
    boltzmann = np.exp((expected - expected.max(1, keepdims=True)) / table.temperature)
    np.testing.assert_allclose(
        (chosen / chosen.sum(1, keepdims=True))[alive], (boltzmann / boltzmann.sum(1, keepdims=True))[alive], atol=1e-2
    )


def agent_q(spec, state: SoftQState, obs: jax.Array) -> jax.Array:
    """Values of all n actions `[B, n]` by a critic without hidden layers."""
    kind = kind_of(dataclasses.replace(SMALL, depth=0), spec)
    return kind.critic.apply(state.critic.params, (), obs, kind.support((), obs, jax.random.key(0)).action)[0][0]


# One update


def begun(agent: Agent, **hypers):
    """A first state, and hyperparameters as arrays."""
    numbers = jax.tree.map(jnp.float32, change(SoftQHypers(), **hypers))
    return tiny.compiled(agent.init, jax.random.key(0), numbers)(jax.random.key(0), numbers), numbers


def batch(spec: EnvSpec) -> Batch:
    rng = np.random.default_rng(0)
    numbers = lambda *shape: jnp.asarray(rng.normal(size=shape), jnp.float32)
    discrete = isinstance(spec.action, Discrete)
    action = jnp.int32(rng.integers(0, 4, ROWS)) if discrete else jnp.tanh(numbers(ROWS, spec.action.size))
    discount = jnp.asarray([0.99] * (ROWS - 2) + [0.0] * 2, jnp.float32)
    return Batch(numbers(ROWS, OBS), action, numbers(ROWS), discount, numbers(ROWS, OBS), jnp.ones(ROWS), jnp.arange(8))


class Bench:
    """A compiled agent at its first state."""

    def __init__(self, config: SoftQConfig, spec: EnvSpec):
        self.agent, self.rows = build(config, spec), batch(spec)
        self.state, self.hypers = begun(self.agent, temperature=0.5, tau=0.25, critic_lr=0.01, policy_lr=0.01)
        arguments = (self.state, self.rows, self.hypers, jax.random.key(1), Clock.start())
        self.update = tiny.compiled(self.agent.update, *arguments)

    def stepped(self, rows: Batch, state: SoftQState | None = None, **hypers):
        """The state after an update, its feedback and its info."""
        numbers = dataclasses.replace(self.hypers, **{name: jnp.float32(x) for name, x in hypers.items()})
        return self.update(self.state if state is None else state, rows, numbers, jax.random.key(1), Clock.start())


@pytest.fixture(scope="module")
def continuous() -> Bench:
    return Bench(dataclasses.replace(SMALL, num_critics=2), SPEC)


@pytest.fixture(scope="module")
def discrete() -> Bench:
    return Bench(SMALL, CHOICE)


@pytest.fixture(params=["continuous", "discrete"])
def bench(request) -> Bench:
    return request.getfixturevalue(request.param)


def test_critics_learn_the_reward_plus_the_discounted_soft_value_of_the_target(bench):
    """By what the update itself says of V: one row at a time, since it says a mean."""
    for row in (0, ROWS - 1):
        rows = bench.rows._replace(weight=jnp.zeros(ROWS).at[row].set(1.0))
        _, feedback, info = bench.stepped(rows, reward_scale=3.0)
        q = critic_at(bench, rows)
        target = 3.0 * rows.reward[row] + rows.discount[row] * info.v
        np.testing.assert_allclose(feedback.td_error[row], np.abs(q[:, row] - target).mean(), rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(info.critic_loss, 0.5 * np.square(q[:, row] - target).sum(), rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(info.v, info.q + 0.5 * info.entropy, rtol=1e-4, atol=1e-5)


def critic_at(bench: Bench, rows: Batch) -> np.ndarray:
    """`[K, B]` at the batch's own actions."""
    spec = CHOICE if rows.action.ndim == 1 else SPEC
    config = SMALL if rows.action.ndim == 1 else dataclasses.replace(SMALL, num_critics=2)
    return np.asarray(
        kind_of(config, spec).critic.apply(bench.state.critic.params, (), rows.obs, rows.action[:, None])[0][..., 0]
    )


def test_twin_critics_are_pessimistic_and_a_mean_of_them_is_not(continuous):
    mean = Bench(dataclasses.replace(SMALL, num_critics=2, critic_reduction="mean"), SPEC)
    pair = [float(there.stepped(continuous.rows)[2].v) for there in (continuous, mean)]
    assert pair[0] < pair[1] - 0.01


def test_targets_follow_by_tau_and_the_temperature_is_the_one_asked_for_now(bench):
    new, _, _ = bench.stepped(bench.rows, temperature=0.125)
    moved = jax.tree.map(lambda old, now: old + 0.25 * (now - old), bench.state.target, new.critic.params)
    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-7), new.target, moved)
    assert float(new.temperature) == 0.125


def test_rows_without_weight_leave_no_trace(bench):
    weight = jnp.asarray([1.0] * (ROWS - 3) + [0.0] * 3)
    spoil = lambda x: jnp.where(weight.reshape(-1, *(1,) * (x.ndim - 1)) > 0, x, 500.0).astype(x.dtype)
    clean = bench.rows._replace(weight=weight)
    spoiled = clean._replace(**{name: spoil(getattr(clean, name)) for name in ("obs", "reward", "next_obs")})
    one, other = (bench.stepped(rows) for rows in (clean, spoiled))
    assert tiny.same_bits((one[0], one[2]), (other[0], other[2]))


@pytest.mark.parametrize("field", ["reward", "obs", "next_obs"])
@pytest.mark.parametrize("poison", [np.nan, np.inf])
def test_a_batch_that_is_not_finite_spoils_no_network(bench, field, poison):
    spoiled = bench.rows._replace(**{field: getattr(bench.rows, field).at[0].set(poison)})
    new, feedback, _ = bench.stepped(spoiled)
    assert not feedback.finite
    assert tiny.same_bits(new.critic, bench.state.critic), "parameters and optimiser stay as they were"
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(new))
    again, feedback, _ = bench.stepped(bench.rows, new)
    assert feedback.finite and not tiny.same_bits(again.critic.params, new.critic.params)


def test_an_n_step_target_counts_the_entropies_of_the_steps_in_between():
    """Of discrete actions exactly: the target's Boltzmann policy at the second and third of three states."""
    agent = build(SMALL, CHOICE)
    state, hypers = begun(agent, temperature=0.5)
    rng, steps = np.random.default_rng(1), jnp.asarray([[1.0, 0.9, 0.81], [1.0, 0.9, 0.0]])
    obs = jnp.asarray(rng.normal(size=(2, 3, OBS)), jnp.float32)
    # Far above every critic, so that |Q − y| is y − Q; and nothing follows.
    rows = jax.tree.map(lambda x: x[:2], batch(CHOICE))._replace(reward=jnp.full(2, 1e2), discount=jnp.zeros(2))
    windowed = rows._replace(window=Window(obs, jnp.zeros((2, 3), jnp.int32), steps))
    told = [
        np.asarray(jax.jit(agent.update)(state, x, hypers, jax.random.key(0), Clock.start())[1].td_error)
        for x in (rows, windowed)
    ]
    kind, flat = kind_of(SMALL, CHOICE), obs.reshape(-1, OBS)
    q, _ = kind.critic.apply(state.target, (), flat, kind.support((), flat, jax.random.key(0)).action)
    log_probs = np.asarray(jax.nn.log_softmax(q[0] / 0.5), np.float64)
    entropy = -(np.exp(log_probs) * log_probs).sum(1).reshape(2, 3)
    # float32 at 100.
    np.testing.assert_allclose(told[1] - told[0], 0.5 * (np.asarray(steps) * entropy)[:, 1:].sum(1), atol=1e-4)


def test_what_it_cannot_do_is_said_in_one_line():
    with pytest.raises(ConfigError, match="num_critics must be 1 for discrete actions"):
        build(dataclasses.replace(SMALL, num_critics=2), CHOICE)
    with pytest.raises(ConfigError, match="no action prior"):
        build(SMALL, SPEC, log_prior=lambda obs, action: 0.0)


def test_the_summary_says_how_soft_values_are_known():
    assert summary(SMALL, SoftQHypers(), CHOICE) == "temperature 0.1, soft values exact over 4 actions"
    assert summary(SMALL, SoftQHypers(), SPEC) == "temperature 0.1, soft values of 4 uniform actions"


# Acting


def test_discrete_actions_are_drawn_as_often_as_the_boltzmann_policy_says(discrete):
    state, count = discrete.state, 40_000
    obs = jnp.broadcast_to(discrete.rows.obs[:1], (count, OBS))
    policy = discrete.agent.policy(state)
    drawn = np.bincount(discrete.agent.act(policy, (), obs, jax.random.key(0))[0], minlength=4) / count
    every = kind_of(SMALL, CHOICE).critic.apply(state.critic.params, (), obs[:1], jnp.arange(4)[None])[0][0, 0]
    expected = np.asarray(jax.nn.softmax(every / state.temperature))
    # Five standard errors of a share.
    np.testing.assert_array_less(np.abs(drawn - expected), 5 * np.sqrt(expected * (1 - expected) / count))
    plain = actor(SMALL, CHOICE, policy)
    np.testing.assert_allclose(plain.outputs([np.asarray(obs[:1])])[0], every / state.temperature, rtol=1e-5, atol=1e-6)


def test_a_samplers_files_act_as_it_does_by_the_mode_and_by_the_same_noise(continuous):
    config = dataclasses.replace(SMALL, num_critics=2)
    policy = jax.tree.map(lambda x: x + 0.3 * jnp.ones_like(x), continuous.agent.policy(continuous.state))
    plain, act = actor(config, SPEC, policy), jax.jit(continuous.agent.act)
    live = lambda named: act(policy, (), named["obs"], None)[0]
    data, program = onnx_file.serialize(plain, {}), stablehlo.serialize(continuous.agent, SPEC, policy, plain)
    files = {
        "NumPy": lambda named: decode(encode(plain))(named["obs"]),
        "ONNX": lambda named: onnx_file.run(data, named),
        "StableHLO": lambda named: stablehlo.run(program, named["obs"]),
    }
    for name, run in files.items():
        assert check.difference(plain, live, run, name) <= check.LIMIT
    obs, noise = np.asarray(continuous.rows.obs), plain.draw_noise(np.random.default_rng(0), ROWS)
    network = networks.network(plain.spec.layers, OBS + 2)
    drawn = jnp.tanh(sampler.pre_tanh(network, policy.params, jnp.asarray(obs), jnp.asarray(noise)[:, None]))[:, 0]
    np.testing.assert_allclose(plain.act(obs, noise), drawn, atol=1e-5)
    np.testing.assert_allclose(onnx_file.run(data, {"obs": obs, "noise": noise}), drawn, atol=1e-5)
    assert np.abs(np.asarray(drawn) - plain.act(obs)).max() > 0.1


def test_an_observation_that_is_called_noise_would_be_taken_for_the_samplers_own():
    spec = PolicySpec((Input(("noise",), (3,)),), perceptron([4], 2), Sampler(2), None)
    plain = NumpyPolicy(spec, {name: np.zeros(shape, np.float32) for name, shape in shapes(spec).items()})
    with pytest.raises(ExportError, match="rename it"):
        onnx_file.serialize(plain, {})


def test_a_sampler_begins_as_a_standard_normal_before_the_tanh(continuous):
    obs = jnp.zeros((20_000, OBS))
    first = continuous.agent.act(continuous.agent.policy(continuous.state), (), obs, jax.random.key(0))[0]
    u = np.arctanh(np.clip(np.asarray(first, np.float64), -1 + 1e-7, 1 - 1e-7))
    # A head of a hundredth, and five standard errors of 20,000 draws.
    np.testing.assert_allclose(u.mean(0), 0.0, atol=0.05)
    np.testing.assert_allclose(u.std(0), 1.0, atol=0.05)
    assert np.isfinite(tanh_gaussian.log_det(jnp.float32(u))).all()
