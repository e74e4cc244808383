"""One update of maximum a posteriori policy optimisation: against numbers written out, and what it must not do."""

import dataclasses
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import softrl
from softrl.agents import algorithm
from softrl.agents.mpo import MPOConfig, MPOHypers, MPOInfo, build
from softrl.algorithm import Feedback
from softrl.clock import Clock, Counter
from softrl.config import change
from softrl.envs import names
from softrl.errors import ConfigError
from softrl.presets import preset
from softrl.training.assemble import assemble
from softrl.training.config import validated
from softrl.types import Batch, Continuous, Discrete, EnvSpec, Simulator, Transition
from tests import compiled, tiny

OBS, ACTIONS, ROWS = 3, 2, 8
SPEC = EnvSpec("numbers", jax.ShapeDtypeStruct((OBS,), jnp.float32), Continuous(ACTIONS), 4, 100)
SMALL = MPOConfig(width=8, depth=1, norm="none", normalize_obs=False, action_draws=4, target_period=5)
LINEAR = dataclasses.replace(SMALL, depth=0, action_draws=64)
"""Q and mean linear: everything can be written out."""


class Bench(NamedTuple):
    """A compiled agent at its first state."""

    config: MPOConfig
    agent: object
    state: object
    hypers: object
    update: object


Told = NamedTuple("Told", [(name, jax.Array) for name in (*MPOInfo._fields, *Feedback._fields)])
"""All that an update tells."""


def bench(config: MPOConfig = SMALL, spec: EnvSpec = SPEC, **hypers) -> Bench:
    numbers = jax.tree.map(jnp.float32, change(MPOHypers(), **hypers))
    make, rows = partial(build, config, spec), partial(batch, spec=spec)
    agent, init, update = compiled.agent(("mpo", config, repr(spec)), make, rows, numbers)
    return Bench(config, agent, init(jax.random.key(0), numbers), numbers, update)


def batch(seed: int = 0, spec: EnvSpec = SPEC) -> Batch:
    generator = np.random.default_rng(seed)
    numbers = lambda *shape: jnp.asarray(generator.normal(size=shape), jnp.float32)
    obs = lambda: jax.tree.map(lambda leaf: numbers(ROWS, *leaf.shape), spec.obs)
    actions = jnp.tanh(numbers(ROWS, spec.action.size))
    discount = jnp.asarray([0.99] * (ROWS - 2) + [0.0] * 2, jnp.float32)
    return Batch(obs(), actions, numbers(ROWS), discount, obs(), jnp.ones(ROWS), jnp.arange(ROWS))


def stepped(bench: Bench, rows: Batch | None = None, *, hypers=None, at: int = 0, state=None, seed: int = 1):
    clock = Clock(Counter.of(0), Counter.of(at))
    state = bench.state if state is None else state
    hypers = bench.hypers if hypers is None else hypers
    rows = batch() if rows is None else rows
    state, feedback, info = bench.update(state, rows, hypers, jax.random.key(seed), clock)
    return state, Told(*info, *feedback)


def varied(bench: Bench, **values):
    return dataclasses.replace(bench.hypers, **{name: jnp.float32(value) for name, value in values.items()})


@pytest.fixture(scope="module")
def small() -> Bench:
    return bench()


@pytest.fixture(scope="module")
def linear() -> Bench:
    return bench(LINEAR)


def weights(params) -> tuple[np.ndarray, np.ndarray]:
    """Kernel and bias of a linear network, double precision."""
    layer = params["params"]["Dense_0"]
    return np.asarray(layer["kernel"], np.float64), np.asarray(layer["bias"], np.float64)


def linear_q(params, obs, action) -> np.ndarray:
    kernel, bias = weights(params)
    inputs = np.concatenate([np.asarray(obs, np.float64), action], -1)
    return np.einsum("bi,kio->kb", inputs, kernel) + bias


def expected_q(there: Bench, obs) -> np.ndarray:
    """E Q̄(s, tanh u) `[B]`, u ~ the old policy, by 2,000 draws."""
    kernel, bias = weights(there.state.target.policy)
    mean, raw = np.split(np.asarray(obs, np.float64) @ kernel + bias, 2, -1)
    low, high = there.config.log_std_min, there.config.log_std_max
    std = np.exp(0.5 * (high + low) + 0.5 * (high - low) * np.tanh(raw))
    draws = np.tanh(mean + std * np.random.default_rng(1).normal(size=(2_000, 1, ACTIONS)))
    q = np.stack([linear_q(there.state.target.critic, obs, draw) for draw in draws])
    return (q.min(1) if there.config.critic_reduction == "min" else q.mean(1)).mean(0)


CERTAIN = {"log_std_min": -12.0, "log_std_max": -11.0, "action_draws": 4}
"""As good as deterministic."""


@pytest.mark.parametrize(
    "changes, tolerance",
    [
        (CERTAIN, 1e-3),  # float32, and a policy whose std is e⁻¹² … e⁻¹¹ instead of 0
        (CERTAIN | {"critic_reduction": "mean"}, 1e-3),
        # Means of 2,000 draws here and there, of a Q whose standard deviation is below 1: four standard errors.
        ({"action_draws": 2_000}, 4.0 * np.sqrt(2.0 / 2_000)),
    ],
)
def test_the_critics_learn_the_reward_plus_what_the_old_policy_expects_by_the_old_critics(changes, tolerance):
    there = bench(dataclasses.replace(LINEAR, **changes))
    # Old policy and critics that are not the new ones, so that they cannot be taken for one another.
    moved = jax.tree.map(lambda x: x + 0.3, there.state.target)
    there = there._replace(state=there.state._replace(target=moved))
    rows = batch()
    _, info = stepped(there, rows, hypers=varied(there, reward_scale=2.0))
    target = 2.0 * np.asarray(rows.reward) + np.asarray(rows.discount) * expected_q(there, rows.next_obs)
    error = linear_q(there.state.critic.params, rows.obs, np.asarray(rows.action, np.float64)) - target
    np.testing.assert_allclose(info.td_error, np.abs(error).mean(0), atol=tolerance)
    np.testing.assert_allclose(info.critic_loss, 0.5 * np.square(error).mean(1).sum(), rtol=2.0 * tolerance)
    np.testing.assert_allclose(info.q, expected_q(there, rows.obs).mean(), atol=tolerance)


def test_the_temperature_rises_while_the_weights_are_too_far_from_the_old_policy(linear):
    """Adam's first step is the rate itself, whatever the gradient's size."""
    for temperature, sign in ((1e-3, 1.0), (1e3, -1.0)):
        state = linear.state._replace(
            temperature=linear.state.temperature._replace(params=jnp.log(jnp.float32(temperature)))
        )
        new, info = stepped(linear, state=state)
        np.testing.assert_allclose(new.temperature.params - state.temperature.params, sign * 0.01, rtol=1e-3)
        np.testing.assert_allclose(info.temperature, temperature, rtol=1e-5)
        assert (float(info.kl_weights) > linear.hypers.epsilon_weights) == (sign > 0)


def test_the_temperature_settles_where_the_weights_are_as_far_as_they_may_be(linear):
    state, still = linear.state, varied(linear, critic_lr=0.0, policy_lr=0.0, temperature_lr=0.05)
    found = []
    for seed in range(300):
        state, info = stepped(linear, state=state, hypers=still, seed=seed)
        found.append(float(info.kl_weights))
    # Of 64 fresh draws at 8 states each time: a standard deviation of 2 hundredths an update.
    np.testing.assert_allclose(np.mean(found[150:]), 0.1, rtol=0.1)


def test_the_policy_moves_towards_better_actions_and_no_further_than_its_trust_region(linear):
    rows, state = batch(), linear.state
    still = varied(linear, critic_lr=0.0, policy_lr=3e-3, epsilon_mean=1e-3, multiplier_lr=0.05, mean_multiplier=1.0)
    before = expected_q(linear, rows.obs).mean()
    found = []
    for seed in range(400):
        state, info = stepped(linear, rows, state=state, hypers=still, seed=seed)  # at 0: copies are never due
        found.append((float(info.kl_mean), float(info.kl_std)))
    np.testing.assert_allclose(np.mean(found[200:], 0), [1e-3, 1e-4], rtol=0.2)
    moved = linear._replace(state=state._replace(target=state.target._replace(policy=state.policy.params)))
    # 2,000 draws by the same noise: their difference is known to a hundredth of a standard deviation of 0.3.
    assert expected_q(moved, rows.obs).mean() > before + 0.005


def test_old_policy_and_target_critics_are_copied_when_they_are_due_and_otherwise_left(small):
    for at in range(7):
        new, _ = stepped(small, at=at)
        due = at == 4
        for old, target, online in zip(small.state.target, new.target, (new.policy, new.critic), strict=True):
            assert tiny.same_bits(target, online.params if due else old)


@pytest.mark.slow
def test_multipliers_do_not_run_away_where_the_policy_takes_long_steps():
    """Critics that stay as they are, a rate ten times the default: λ was 10⁶ after three thousand updates."""
    there = bench(MPOConfig(width=64, depth=2, normalize_obs=False, action_draws=8))
    hypers = varied(there, critic_lr=0.0, policy_lr=3e-3)

    def one(carry, index):
        state, clock = carry
        keys = jax.random.split(jax.random.fold_in(jax.random.key(1), index))
        obs, zeros = jax.random.normal(keys[0], (64, OBS)), jnp.zeros(64)
        rows = Batch(obs, jnp.zeros((64, ACTIONS)), zeros, zeros, obs, jnp.ones(64), jnp.arange(64))
        state, _, info = there.agent.update(state, rows, hypers, keys[1], clock)
        return (state, clock._replace(update=clock.update.plus(1))), info

    _, info = jax.jit(lambda state: jax.lax.scan(one, (state, Clock.start()), jnp.arange(4000)))(there.state)
    assert np.max(info.multiplier_mean) < 1e3 and np.max(info.multiplier_std) < 1e3
    np.testing.assert_allclose([info.kl_mean[2000:].mean(), info.kl_std[2000:].mean()], [2.5e-3, 1e-4], rtol=0.2)


def test_multipliers_and_temperature_begin_where_they_were_asked_to_and_have_bounds():
    there = bench(temperature=0.3, mean_multiplier=2.0, std_multiplier=5.0)
    _, info = stepped(there)
    told = (info.temperature, info.multiplier_mean, info.multiplier_std)
    np.testing.assert_allclose(told, (0.3, 2.0, 5.0), rtol=1e-5)
    least = jax.tree.map(lambda x: x - 100.0, there.state.multipliers.params)
    low = there.state._replace(multipliers=there.state.multipliers._replace(params=least))
    low = low._replace(temperature=low.temperature._replace(params=jnp.float32(-100.0)))
    new, _ = stepped(there, state=low)
    np.testing.assert_allclose(np.concatenate(new.multipliers.params), np.log(1e-3), rtol=1e-5)
    np.testing.assert_allclose(new.temperature.params, np.log(1e-8), rtol=1e-5)
    most = jax.tree.map(lambda x: x + 20.0, there.state.multipliers.params)
    new, info = stepped(there, state=there.state._replace(multipliers=there.state.multipliers._replace(params=most)))
    np.testing.assert_allclose(np.concatenate(new.multipliers.params), np.log(1e6), rtol=1e-5)
    assert info.finite


def test_rows_without_weight_leave_no_trace(small):
    weight = jnp.asarray([1.0] * (ROWS - 3) + [0.0] * 3)
    spoil = lambda x: jnp.where(weight.reshape(-1, *(1,) * (x.ndim - 1)) > 0, x, 500.0).astype(x.dtype)
    clean = batch()._replace(weight=weight)
    spoiled = jax.tree.map(spoil, clean)._replace(weight=weight, discount=clean.discount)
    (one, told), (other, told_too) = stepped(small, clean), stepped(small, spoiled)
    assert tiny.same_bits(one, other)
    assert tiny.same_bits(told[: len(MPOInfo._fields)], told_too[: len(MPOInfo._fields)])


@pytest.mark.parametrize("field", ["reward", "obs", "next_obs", "action"])
@pytest.mark.parametrize("poison", [np.nan, np.inf])
def test_a_batch_that_is_not_finite_spoils_nothing(small, field, poison):
    rows = batch()
    spoiled = rows._replace(**{field: getattr(rows, field).at[0].set(poison)})
    new, info = stepped(small, spoiled, at=4)  # copies are due
    assert not info.finite
    assert tiny.same_bits(new.critic, small.state.critic), "parameters and optimiser stay as they were"
    if field == "obs":
        kept = ("policy", "temperature", "multipliers")
        assert all(tiny.same_bits(getattr(new, name), getattr(small.state, name)) for name in kept)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(new))
    again, info = stepped(small, rows, state=new)
    assert info.finite
    assert not tiny.same_bits(again.critic.params, new.critic.params)


def test_the_mode_is_deterministic_and_samples_are_not(small):
    policy, obs = small.agent.policy(small.state), batch().obs
    modes = [small.agent.act(policy, (), obs, None)[0] for _ in range(2)]
    assert tiny.same_bits(*modes)
    draws = [np.asarray(small.agent.act(policy, (), obs, jax.random.key(seed))[0]) for seed in range(2)]
    assert (draws[0] != draws[1]).all() and (np.abs(draws) < 1.0).all()


def test_the_policy_acts_alike_in_numpy(small):
    policy, obs = small.agent.policy(small.state), batch().obs
    actor = algorithm("mpo").actor(SMALL, SPEC, policy)
    np.testing.assert_allclose(actor.act(np.asarray(obs)), small.agent.act(policy, (), obs, None)[0], atol=1e-6)


def test_only_observing_moves_the_statistics_and_only_by_valid_rows():
    agent = build(dataclasses.replace(SMALL, normalize_obs=True), SPEC)
    numbers = jax.tree.map(jnp.float32, MPOHypers())
    state = tiny.compiled(agent.init, jax.random.key(0), numbers)(jax.random.key(0), numbers)
    obs = jnp.asarray([[1.0] * OBS, [3.0] * OBS, [np.nan] * OBS, [9.0] * OBS])
    flags = jnp.zeros(4, bool)
    rows = Transition(
        obs, jnp.zeros((4, ACTIONS)), jnp.zeros(4), flags, flags, obs, jnp.asarray([True, True, False, False])
    )
    seen, _ = jax.jit(agent.observe)(state, (), rows, numbers)
    assert float(seen.statistics.count) == 2.0
    np.testing.assert_allclose(seen.statistics.mean, 2.0)
    assert tiny.same_bits(seen._replace(statistics=()), state._replace(statistics=()))


def test_actor_and_critic_see_their_own_parts_of_an_observation():
    shapes = {"eyes": jax.ShapeDtypeStruct((2, 2), jnp.float32), "state": jax.ShapeDtypeStruct((5,), jnp.float32)}
    spec = EnvSpec("parts", shapes, Continuous(ACTIONS), 4, 100, actor_obs="eyes", critic_obs="state")
    there = bench(SMALL, spec)
    assert there.state.policy.params["params"]["Dense_0"]["kernel"].shape == (4, 8)
    assert there.state.critic.params["params"]["Dense_0"]["kernel"].shape == (2, 5 + ACTIONS, 8)
    rows = batch(spec=spec)
    _, before = stepped(there, rows)
    _, after = stepped(there, rows._replace(obs=rows.obs | {"eyes": rows.obs["eyes"] + 1.0}))
    assert tiny.same_bits(before.critic_loss, after.critic_loss)
    assert not tiny.same_bits(before.policy_loss, after.policy_loss)


def test_another_number_needs_no_other_program(small):
    traces = []

    def counted(*args):
        traces.append(1)
        return small.agent.update(*args)

    update = jax.jit(counted)
    for rate, gamma in ((1e-3, 0.9), (0.0, 0.0)):
        hypers = varied(small, critic_lr=rate, gamma=gamma, epsilon_weights=gamma + 0.1, max_grad_norm=1.0)
        jax.eval_shape(update, small.state, batch(), hypers, jax.random.key(0), Clock.start())
    assert len(traces) == 1


@pytest.mark.slow
def test_the_best_action_is_found():
    """One step pays −(a − ½)²: from a policy about 0 with a standard deviation of 0.6 before the tanh."""
    config = tiny.config(
        "mpo", env="probe/action-reward", policy_lr=3e-3, critic_lr=3e-3, action_draws=8, target_period=20,
        epsilon_mean=0.02, updates_per_step=8, chunk_steps=128,
    )  # fmt: skip
    trial = tiny.trained(config, 3)
    agent = tiny.member(trial.run.learner.agent, 0)
    actions = np.linspace(-0.9, 0.9, 7)[:, None]
    found = tiny.learned(trial.assembled, agent, np.zeros((1, 1)), actions)
    np.testing.assert_allclose(np.tanh(found.mean), 0.5, atol=0.05)
    assert np.abs(found.q[..., 4:6] + np.square(actions[4:6, 0] - 0.5)).max() < 0.05, "near the policy's own actions"
    assert np.exp(found.log_std) < 0.6, "the better actions are nearer to one another than those of the old policy"


def test_discrete_actions_and_priors_are_refused_in_one_line():
    step = lambda sim, action: (sim, jnp.zeros(1), jnp.float32(0.0), jnp.bool_(False))
    arms = Simulator(lambda key, index: (jnp.zeros(()), jnp.zeros(1)), step, Discrete(3))
    with pytest.raises(ConfigError, match=r"mpo learns continuous actions, .*; got Discrete"):
        assemble(tiny.config("mpo"), env=arms)
    with pytest.raises(ConfigError, match="leave log_prior out"):
        build(SMALL, SPEC, log_prior=lambda obs, action: jnp.zeros(len(action)))
    with pytest.raises(ConfigError, match="log_std_min"):
        validated(tiny.config("mpo", log_std_min=3.0))


@pytest.mark.slow  # a learner compiles many programs
def test_a_learner_that_others_feed_learns_and_acts():
    settings = {"width": 8, "depth": 1, "batch_size": 16, "learning_starts": 0, "priority_exponent": 0.6}
    config = softrl.change(softrl.LearnerConfig("mpo"), action_draws=4, **settings)
    learner = softrl.Learner(config, np.zeros(OBS, np.float32), ACTIONS, replay_capacity=64)
    rows = batch()
    ends = {"terminated": np.asarray(rows.discount) == 0.0, "reward": np.asarray(rows.reward)}
    arrays = {name: np.asarray(getattr(rows, name)) for name in ("obs", "action", "next_obs")}
    learner.add(arrays | ends)
    told = learner.step(updates=2)
    assert told["finite"] == 1.0 and np.isfinite(told["policy_loss"])
    assert np.abs(learner.act(np.zeros(OBS, np.float32))).max() < 1.0


@pytest.mark.parametrize("name", algorithm("mpo").presets)
@pytest.mark.parametrize("platform", ["cpu", "gpu"])
def test_every_default_is_a_run_that_validates(platform, name):
    for env in names():
        if not env.startswith("envpool/"):
            assert validated(preset(env, algorithm="mpo", platform=platform, name=name)).algorithm == "mpo"
