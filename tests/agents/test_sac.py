"""One update of soft actor-critic: against numbers written out by hand, and against what it must not do."""

import dataclasses
import math
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from softrl import networks
from softrl.agents.actor import policy_layers
from softrl.agents.sac import SACConfig, SACHypers, SACInfo, build, resolve
from softrl.algorithm import Feedback
from softrl.clock import Clock, Counter
from softrl.config import change
from softrl.distributions import tanh_gaussian
from softrl.distributions.tanh_gaussian import TanhGaussian
from softrl.errors import ConfigError
from softrl.types import Batch, Continuous, EnvSpec, Transition, Window
from tests import compiled, tiny
from tests.oracles import tanh_gaussian as oracle

OBS, ACTIONS, ROWS = 3, 2, 8
SPEC = EnvSpec("numbers", jax.ShapeDtypeStruct((OBS,), jnp.float32), Continuous(ACTIONS), 4, 100)
SIX = SPEC._replace(action=Continuous(6))
SMALL = SACConfig(width=8, depth=1, norm="none", normalize_obs=False)
LINEAR = dataclasses.replace(SMALL, depth=0, log_std_min=-12.0, log_std_max=-11.0, auto_temperature=False)
"""Q and mean linear, actions as good as deterministic: everything can be written out."""


class Bench(NamedTuple):
    """A compiled agent at its first state."""

    agent: object
    state: object
    hypers: object
    update: object


Told = NamedTuple("Told", [(name, jax.Array) for name in (*SACInfo._fields, *Feedback._fields)])
"""All that an update tells."""


def bench(config: SACConfig = SMALL, spec: EnvSpec = SPEC, log_prior=None, **hypers) -> Bench:
    numbers = jax.tree.map(jnp.float32, resolve(change(SACHypers(), **hypers), spec))
    make, rows = partial(build, config, spec, log_prior=log_prior), partial(batch, spec=spec)
    agent, init, update = compiled.agent(("sac", config, repr(spec), log_prior), make, rows, numbers)
    return Bench(agent, init(jax.random.key(0), numbers), numbers, update)


def batch(seed: int = 0, spec: EnvSpec = SPEC) -> Batch:
    generator = np.random.default_rng(seed)
    numbers = lambda *shape: jnp.asarray(generator.normal(size=shape), jnp.float32)
    obs = lambda: jax.tree.map(lambda leaf: numbers(ROWS, *leaf.shape), spec.obs)
    actions = jnp.tanh(numbers(ROWS, spec.action.size))
    discount = jnp.asarray([0.99] * (ROWS - 2) + [0.0] * 2, jnp.float32)
    return Batch(obs(), actions, numbers(ROWS), discount, obs(), jnp.ones(ROWS), jnp.arange(ROWS))


def stepped(bench: Bench, rows: Batch | None = None, *, hypers=None, at: int = 0, state=None):
    clock = Clock(Counter.of(0), Counter.of(at))
    state = bench.state if state is None else state
    hypers = bench.hypers if hypers is None else hypers
    state, feedback, info = bench.update(state, batch() if rows is None else rows, hypers, jax.random.key(1), clock)
    return state, Told(*info, *feedback)


def varied(bench: Bench, **values):
    return dataclasses.replace(bench.hypers, **{name: jnp.float32(value) for name, value in values.items()})


@pytest.fixture(scope="module")
def small() -> Bench:
    return bench()


@pytest.fixture(scope="module")
def with_value() -> Bench:
    return bench(dataclasses.replace(SMALL, value_network=True))


@pytest.fixture(scope="module")
def linear() -> Bench:
    return bench(LINEAR, temperature=1e-9, critic_lr=0.0)


def weights(params) -> tuple[np.ndarray, np.ndarray]:
    """Kernel and bias of a linear network, double precision."""
    layer = params["params"]["Dense_0"]
    return np.asarray(layer["kernel"], np.float64), np.asarray(layer["bias"], np.float64)


def linear_q(params, obs, action) -> np.ndarray:
    kernel, bias = weights(params)
    inputs = np.concatenate([np.asarray(obs, np.float64), action], -1)
    return np.einsum("bi,kio->kb", inputs, kernel) + bias


def linear_action(params, obs) -> np.ndarray:
    kernel, bias = weights(params)
    return np.tanh((np.asarray(obs, np.float64) @ kernel + bias)[:, :ACTIONS])


def test_the_critics_learn_the_reward_plus_the_discounted_pessimistic_value(linear):
    rows, critic = batch(), linear.state.critic.params
    _, info = stepped(linear, rows)
    next_q = linear_q(linear.state.target, rows.next_obs, linear_action(linear.state.policy.params, rows.next_obs))
    target = np.asarray(rows.reward) + np.asarray(rows.discount) * next_q.min(0)
    error = linear_q(critic, rows.obs, np.asarray(rows.action, np.float64)) - target
    inputs = np.concatenate([rows.obs, rows.action, np.ones((ROWS, 1))], -1)
    gradient = np.einsum("kb,bi->ki", error, inputs) / ROWS
    # float32, and a policy whose std is e⁻¹² … e⁻¹¹ instead of 0.
    np.testing.assert_allclose(info.critic_loss, 0.5 * np.square(error).mean(1).sum(), rtol=1e-4)
    np.testing.assert_allclose(info.critic_grad_norm, np.linalg.norm(gradient), rtol=1e-4)
    # Of critics that err by +3 and −3 the mean of errors is 0, which would say that there is nothing to learn.
    np.testing.assert_allclose(info.td_error, np.abs(error).mean(0), rtol=1e-3, atol=1e-4)


def test_the_policy_climbs_the_pessimistic_critic(linear):
    rows = batch()
    _, info = stepped(linear, rows)
    kernel, _ = weights(linear.state.critic.params)
    action = linear_action(linear.state.policy.params, rows.obs)
    q = linear_q(linear.state.critic.params, rows.obs, action)
    slope = kernel[q.argmin(0), OBS:, 0] * (1.0 - action**2)  # ∂ min Q / ∂ mean
    inputs = np.concatenate([rows.obs, np.ones((ROWS, 1))], -1)
    gradient = np.einsum("ba,bi->ai", slope, inputs) / ROWS
    np.testing.assert_allclose(info.policy_loss, -q.min(0).mean(), rtol=1e-4)
    np.testing.assert_allclose(info.q, q.min(0).mean(), rtol=1e-4)
    np.testing.assert_allclose(info.policy_grad_norm, np.linalg.norm(gradient), rtol=1e-3)


def test_the_value_network_learns_the_value_of_fresh_actions_and_the_critics_learn_from_its_target():
    there = bench(dataclasses.replace(LINEAR, value_network=True), temperature=1e-9, critic_lr=0.0)
    rows = batch()
    _, info = stepped(there, rows)
    linear_v = lambda params, obs: (np.asarray(obs) @ weights(params)[0] + weights(params)[1])[:, 0]
    target = np.asarray(rows.reward) + np.asarray(rows.discount) * linear_v(there.state.target, rows.next_obs)
    error = linear_q(there.state.critic.params, rows.obs, np.asarray(rows.action, np.float64)) - target
    np.testing.assert_allclose(info.critic_loss, 0.5 * np.square(error).mean(1).sum(), rtol=1e-4)
    q = linear_q(there.state.critic.params, rows.obs, linear_action(there.state.policy.params, rows.obs)).min(0)
    v = linear_v(there.state.value.params, rows.obs)
    np.testing.assert_allclose(info.value_loss, 0.5 * np.square(v - q).mean(), rtol=1e-4)


def test_a_mean_ensemble_is_not_pessimistic():
    there = bench(dataclasses.replace(LINEAR, critic_reduction="mean"), temperature=1e-9)
    rows = batch()
    _, info = stepped(there, rows, hypers=varied(there, critic_lr=0.0))
    q = linear_q(there.state.critic.params, rows.obs, linear_action(there.state.policy.params, rows.obs))
    np.testing.assert_allclose(info.q, q.mean(), rtol=1e-4)


def test_a_reward_scale_scales_rewards_and_nothing_else(linear):
    rows = batch()
    _, doubled = stepped(linear, rows, hypers=varied(linear, reward_scale=2.0))
    _, by_hand = stepped(linear, rows._replace(reward=2.0 * rows.reward))
    assert tiny.same_bits(doubled, by_hand)


@pytest.mark.parametrize("which", ["small", "with_value"])
def test_targets_follow_by_tau(which, request):
    there = request.getfixturevalue(which)
    tau = 0.25
    new, _ = stepped(there, hypers=varied(there, tau=tau))
    source = new.value.params if which == "with_value" else new.critic.params
    moved = jax.tree.map(lambda old, now: old + tau * (now - old), there.state.target, source)
    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-7), new.target, moved)


def test_the_temperature_rises_where_the_policy_is_too_certain_and_falls_where_it_is_too_random(small):
    """Adam's first step is the rate itself, whatever the gradient's size."""
    _, info = stepped(small)
    for target, sign in ((float(info.entropy) + 0.5, 1.0), (float(info.entropy) - 0.5, -1.0)):
        new, _ = stepped(small, hypers=varied(small, target_entropy=target, temperature_lr=0.01))
        moved = new.temperature.params - small.state.temperature.params
        np.testing.assert_allclose(moved, sign * 0.01, rtol=1e-3)


def test_a_fixed_temperature_stays_fixed(linear):
    new, _ = stepped(linear)
    assert tiny.same_bits(new.temperature, linear.state.temperature)


def test_the_first_temperature_is_the_one_that_was_asked_for():
    assert math.isclose(float(jnp.exp(bench(LINEAR, temperature=0.3).state.temperature.params)), 0.3, rel_tol=1e-6)


def test_a_uniform_prior_leaves_the_policy_and_the_temperature_as_they_were(small):
    """With the critics held still: the KL to a uniform density is the negative entropy and a constant."""
    uniform = bench(dataclasses.replace(SMALL, action_prior="uniform"))
    still = {"critic_lr": 0.0, "policy_lr": 1e-2, "temperature_lr": 1e-2, "target_entropy": -3.0}
    plain, shifted = (stepped(b, hypers=varied(b, **still))[0] for b in (small, uniform))
    for name in ("policy", "temperature"):
        pair = (getattr(plain, name).params, getattr(shifted, name).params)
        jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-6), *pair)


def pulled(there: Bench, updates: int = 400) -> TanhGaussian:
    """The policy for a zero observation after many updates with critics that see no difference between actions."""
    blank = jax.tree.map(jnp.zeros_like, there.state.critic.params)
    state = there.state._replace(critic=there.state.critic._replace(params=blank), target=blank)
    for i in range(updates):
        rows = batch()._replace(obs=jnp.zeros((ROWS, OBS)), next_obs=jnp.zeros((ROWS, OBS)))
        state, _, _ = there.update(state, rows, there.hypers, jax.random.key(i), Clock.start())
    bias = np.asarray(state.policy.params["params"]["Dense_0"]["bias"])
    return TanhGaussian(bias[:ACTIONS], -1.0 + np.tanh(bias[ACTIONS:]))


LOOSE = dataclasses.replace(SMALL, depth=0, log_std_min=-2.0, log_std_max=0.0, auto_temperature=False)
STILL = {"critic_lr": 0.0, "policy_lr": 2e-2, "temperature": 1.0}


def test_a_prior_of_ones_own_pulls_an_indifferent_policy_to_itself():
    prior = TanhGaussian(jnp.asarray([0.5, -0.3]), jnp.log(jnp.asarray([0.4, 0.25])))

    def log_prior(obs, action):
        return tanh_gaussian.log_prob(
            jax.tree.map(lambda x: jnp.broadcast_to(x, action.shape), prior), jnp.arctanh(action)
        )

    found = pulled(bench(LOOSE, log_prior=log_prior, **STILL))
    # Eight samples an update at a constant rate of 0.02.
    np.testing.assert_allclose(found.mean, prior.mean, atol=0.1)
    np.testing.assert_allclose(found.log_std, prior.log_std, atol=0.15)


def test_a_prior_of_ones_own_is_given_what_the_environment_gave():
    """Dictionaries whole, and nothing normalised: the prior's value at rows about 100 enters the loss as it is."""
    spec = SPEC._replace(obs={"state": SPEC.obs, "rest": jax.ShapeDtypeStruct((1,), jnp.float32)}, actor_obs="state")
    config = dataclasses.replace(SMALL, normalize_obs=True, auto_temperature=False)
    told = {}
    for name, log_prior in {
        "none": lambda obs, action: jnp.zeros(action.shape[:-1]),
        "own": lambda obs, action: obs["rest"][..., 0] + obs["state"].sum(-1),
    }.items():
        there = bench(config, spec, log_prior=log_prior, temperature=0.5)
        rows = jax.tree.map(lambda x: x + 100.0, batch(spec=spec).obs)
        flags = jnp.zeros(ROWS, bool)
        seen = Transition(rows, batch().action, jnp.zeros(ROWS), flags, flags, rows, ~flags)
        state, _ = there.agent.observe(there.state, there.agent.carry(ROWS, jax.random.key(0)), seen, there.hypers)
        told[name] = stepped(there, batch(spec=spec)._replace(obs=rows, next_obs=rows), state=state)[1]
    given = float(jnp.mean(rows["rest"][:, 0] + rows["state"].sum(-1)))
    np.testing.assert_allclose(told["own"].policy_loss - told["none"].policy_loss, -0.5 * given, rtol=1e-5)


@pytest.mark.parametrize("value_network", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_an_n_step_target_counts_the_entropies_of_the_steps_in_between(value_network):
    """Twenty thousand copies of two windows, one that ends early: the mean target against quadrature of the policy."""
    copies, steps = 20_000, jnp.asarray([[1.0, 0.9, 0.81], [1.0, 0.9, 0.0]])
    config = dataclasses.replace(SMALL, auto_temperature=False, value_network=value_network)
    obs = np.random.default_rng(0).normal(size=(2, 3, OBS)).astype(np.float32)
    repeat = lambda x: jnp.repeat(jnp.asarray(x), copies, 0)
    rows = jax.tree.map(repeat, jax.tree.map(lambda x: x[:2], batch()))
    # Far above every critic, so that the mean of |Q − y| is y − Q; and nothing follows.
    rows = rows._replace(obs=repeat(obs[:, 0]), reward=jnp.full(2 * copies, 1e2), discount=jnp.zeros(2 * copies))
    rows = rows._replace(window=Window(repeat(obs), jnp.zeros((2 * copies, 3, ACTIONS)), repeat(steps)))
    told = []
    for counted in (True, False):
        there = bench(dataclasses.replace(config, n_step_entropy=counted), temperature=0.7)
        update = jax.jit(there.agent.update)
        _, feedback, _ = update(there.state, rows, there.hypers, jax.random.key(0), Clock.start())
        told.append(feedback.td_error.reshape(2, copies).mean(1))
    bounds = {"log_std_min": config.log_std_min, "log_std_max": config.log_std_max}
    policy = networks.policy(policy_layers(config, Continuous(ACTIONS)), OBS, **bounds)
    dist, _ = policy.apply(there.state.policy.params, (), jnp.asarray(obs))
    nodes, weights = np.polynomial.hermite_e.hermegauss(200)
    mean, std = (np.asarray(x, np.float64)[..., None] for x in (dist.mean, jnp.exp(dist.log_std)))
    entropy = -(oracle.log_prob(mean, std, mean + std * nodes) @ weights / weights.sum()).sum(-1)
    # A standard deviation of 1.3 nats over twenty thousand rows, five times.
    expected = 0.7 * (np.asarray(steps) * entropy)[:, 1:].sum(1)
    np.testing.assert_allclose(told[0] - told[1], expected, atol=0.05)


def test_an_indifferent_policy_becomes_as_random_as_it_can():
    found = pulled(bench(LOOSE, **STILL))
    np.testing.assert_allclose(found.mean, 0.0, atol=0.1)
    np.testing.assert_allclose(np.exp(found.log_std), 0.8744, atol=0.1)


def test_policy_and_critics_have_the_widths_that_were_asked_for():
    config = dataclasses.replace(SMALL, policy_widths="7,5", critic_widths="4", value_network=True)
    hypers = resolve(SACHypers(), SPEC)
    state = jax.eval_shape(partial(build(config, SPEC).init, hypers=hypers), jax.random.key(0))
    networks = (state.policy.params, state.critic.params, state.value.params)
    kernels = [[layer["kernel"].shape for layer in network["params"].values()] for network in networks]
    critics = [(2, OBS + ACTIONS, 4), (2, 4, 1)]
    assert kernels == [[(OBS, 7), (7, 5), (5, 2 * ACTIONS)], critics, [(OBS, 4), (4, 1)]]


def test_a_fixed_temperature_is_the_one_that_is_asked_for_now():
    """Population-based training and `Learner.adjust` change it on the way."""
    there = bench(dataclasses.replace(SMALL, auto_temperature=False), temperature=1.0)
    _, info = stepped(there, hypers=varied(there, temperature=0.25))
    np.testing.assert_allclose(info.temperature, 0.25, rtol=1e-6)


def test_a_delayed_policy_moves_only_when_it_is_due():
    there = bench(dataclasses.replace(SMALL, policy_delay=3))
    for at in range(4):
        new, info = stepped(there, at=at)
        due = at % 3 == 0
        assert tiny.same_bits(new.policy, there.state.policy) != due
        assert tiny.same_bits(new.temperature, there.state.temperature) != due
        assert bool(np.isnan(info.policy_loss)) != due and bool(info.finite)
        assert not tiny.same_bits(new.critic.params, there.state.critic.params)


def test_clipping_scales_a_gradient_down_and_reports_its_size_before(small):
    free, info = stepped(small)
    clipped, clipped_info = stepped(small, hypers=varied(small, max_grad_norm=0.01))
    np.testing.assert_allclose(clipped_info.critic_grad_norm, info.critic_grad_norm, rtol=1e-6)
    # Adam's first moment is a tenth of the first gradient.
    moment = lambda net: np.sqrt(sum(np.square(leaf).sum() for leaf in jax.tree.leaves(first_moment(net.opt))))
    np.testing.assert_allclose(moment(clipped.critic), 0.1 * 0.01, rtol=1e-4)
    np.testing.assert_allclose(moment(clipped.policy), 0.1 * 0.01, rtol=1e-4)
    np.testing.assert_allclose(moment(free.critic), 0.1 * info.critic_grad_norm, rtol=1e-4)


def test_a_bound_above_the_gradient_changes_nothing(small):
    _, info = stepped(small)
    size = float(jnp.maximum(info.critic_grad_norm, info.policy_grad_norm))
    free, bounded = (stepped(small, hypers=varied(small, max_grad_norm=m))[0] for m in (math.inf, 10.0 * size))
    assert tiny.same_bits(free, bounded)


def first_moment(opt):
    return next(part.mu for part in jax.tree.leaves(opt, is_leaf=lambda x: hasattr(x, "mu")) if hasattr(part, "mu"))


def test_weight_decay_shrinks_kernels_and_spares_biases_and_the_temperature(small):
    fast = {"critic_lr": 0.1, "policy_lr": 0.1}
    plain, decayed = (stepped(small, hypers=varied(small, weight_decay=decay, **fast))[0] for decay in (0.0, 0.5))
    assert tiny.same_bits(plain.temperature, decayed.temperature)
    for name in ("policy", "critic"):
        before, without, after = (getattr(s, name).params["params"] for s in (small.state, plain, decayed))
        for layer in before:
            # The policy climbs critics that were decayed a moment before; Adam's first step hides all but its sign.
            np.testing.assert_allclose(without[layer]["bias"], after[layer]["bias"], rtol=1e-4)
            shrunk = 0.1 * 0.5 * before[layer]["kernel"]
            np.testing.assert_allclose(without[layer]["kernel"] - after[layer]["kernel"], shrunk, rtol=1e-3, atol=1e-4)


def test_another_number_needs_no_other_program(small):
    traces = []

    def counted(*args):
        traces.append(1)
        return small.agent.update(*args)

    update = jax.jit(counted)
    for rate, gamma in ((1e-3, 0.9), (3e-4, 0.99), (0.0, 0.0)):
        hypers = varied(small, critic_lr=rate, gamma=gamma, temperature=0.5, max_grad_norm=1.0, weight_decay=rate)
        jax.eval_shape(update, small.state, batch(), hypers, jax.random.key(0), Clock.start())
    assert len(traces) == 1


def test_rows_without_weight_leave_no_trace(small):
    weight = jnp.asarray([1.0] * (ROWS - 3) + [0.0] * 3)
    spoil = lambda x: jnp.where(weight.reshape(-1, *(1,) * (x.ndim - 1)) > 0, x, 500.0).astype(x.dtype)
    clean = batch()._replace(weight=weight)
    spoiled = jax.tree.map(spoil, clean)._replace(weight=weight, discount=clean.discount)
    assert tiny.same_bits(stepped(small, clean)[0], stepped(small, spoiled)[0])


@pytest.mark.parametrize("which", ["small", "with_value"])
@pytest.mark.parametrize("field", ["reward", "obs", "next_obs", "action"])
@pytest.mark.parametrize("poison", [np.nan, np.inf])
def test_a_batch_that_is_not_finite_spoils_no_network(which, field, poison, request):
    there = request.getfixturevalue(which)
    rows = batch()
    spoiled = rows._replace(**{field: getattr(rows, field).at[0].set(poison)})
    new, info = stepped(there, spoiled)
    assert not info.finite
    assert tiny.same_bits(new.critic, there.state.critic), "parameters and optimiser stay as they were"
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(new))
    again, info = stepped(there, rows, state=new)
    assert info.finite
    assert not tiny.same_bits(again.critic.params, new.critic.params)


def test_the_mode_is_deterministic_and_samples_are_not(small):
    policy = small.agent.policy(small.state)
    act = jax.jit(small.agent.act)
    obs = batch().obs
    modes = [act(policy, (), obs, None)[0] for _ in range(2)]
    assert tiny.same_bits(*modes)
    draws = [np.asarray(act(policy, (), obs, jax.random.key(seed))[0]) for seed in range(2)]
    assert (draws[0] != draws[1]).all() and (np.abs(draws) < 1.0).all()


def transition(obs, valid) -> Transition:
    n = len(valid)
    flags = jnp.zeros(n, bool)
    return Transition(obs, jnp.zeros((n, ACTIONS)), jnp.zeros(n), flags, flags, obs, jnp.asarray(valid))


def test_only_observing_moves_the_statistics_and_only_by_valid_rows():
    agent = build(dataclasses.replace(SMALL, normalize_obs=True), SPEC)
    numbers = jax.tree.map(jnp.float32, resolve(SACHypers(), SPEC))
    state = tiny.compiled(agent.init, jax.random.key(0), numbers)(jax.random.key(0), numbers)
    obs = jnp.asarray([[1.0] * OBS, [3.0] * OBS, [np.nan] * OBS, [9.0] * OBS])
    seen, _ = jax.jit(agent.observe)(state, (), transition(obs, [True, True, False, False]), numbers)
    assert float(seen.statistics.count) == 2.0
    np.testing.assert_allclose(seen.statistics.mean, 2.0)
    assert tiny.same_bits(seen._replace(statistics=()), state._replace(statistics=()))
    acts = [jax.jit(agent.act)(agent.policy(s), (), jnp.full((1, OBS), 2.0), None)[0] for s in (state, seen)]
    assert not tiny.same_bits(*acts), "the policy sees normalised observations"


def test_without_normalisation_observing_changes_nothing(small):
    assert (
        small.agent.observe(small.state, (), transition(jnp.ones((4, OBS)), [True] * 4), small.hypers)[0] is small.state
    )


def test_actor_and_critic_see_their_own_parts_of_an_observation():
    shapes = {"eyes": jax.ShapeDtypeStruct((2, 2), jnp.float32), "state": jax.ShapeDtypeStruct((5,), jnp.float32)}
    spec = EnvSpec("parts", shapes, Continuous(ACTIONS), 4, 100, actor_obs="eyes", critic_obs="state")
    there = bench(SMALL, spec)
    assert there.state.policy.params["params"]["Dense_0"]["kernel"].shape == (4, 8)
    assert there.state.critic.params["params"]["Dense_0"]["kernel"].shape == (2, 5 + ACTIONS, 8)
    rows = batch(spec=spec)
    other = lambda part: rows._replace(obs=rows.obs | {part: rows.obs[part] + 1.0})
    acts = [there.agent.act(there.agent.policy(there.state), None, r.obs, None)[0] for r in (rows, other("state"))]
    assert tiny.same_bits(*acts)
    _, before = stepped(there, rows)
    _, after = stepped(there, other("eyes"))
    assert tiny.same_bits(before.critic_loss, after.critic_loss)


@pytest.mark.parametrize(
    "hypers, expected",
    [
        ({}, -6.0),
        ({"target_entropy": -1.5}, -1.5),
        ({"target_sigma": 0.15}, 3.0 * math.log(2 * math.pi * math.e * 0.0225)),
    ],
)
def test_a_target_entropy_is_one_number_of_nats_however_it_was_given(hypers, expected):
    resolved = resolve(change(SACHypers(), **hypers), SIX)
    assert math.isclose(resolved.target_entropy, expected) and resolved.target_sigma is None


@pytest.mark.parametrize(
    "hypers, words",
    [
        ({"target_entropy": 4.2}, ["target_entropy 4.2", "4.10181", "try -6"]),
        ({"target_sigma": 1.0}, ["target_sigma 1", "out of reach"]),
        ({"target_entropy": -1.0, "target_sigma": 0.1}, ["not both"]),
    ],
)
def test_a_target_entropy_that_no_policy_can_reach_would_heat_it_for_ever(hypers, words):
    with pytest.raises(ConfigError) as error:
        resolve(change(SACHypers(), **hypers), SIX)
    assert all(word in str(error.value) for word in words), str(error.value)
