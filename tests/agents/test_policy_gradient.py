"""One update of the policy gradient: soft returns of rollouts with ends of every kind, and what it must not do."""

import dataclasses
import math
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import softrl
from softrl.agents import algorithm
from softrl.agents.policy_gradient import PolicyGradientConfig, PolicyGradientHypers, actor, build, resolve
from softrl.agents.policy_gradient.advantage import advantages
from softrl.agents.policy_gradient.agent import parts_of
from softrl.agents.policy_gradient.rows import rows_of
from softrl.clock import Clock
from softrl.config import change
from softrl.distributions import tanh_gaussian
from softrl.distributions.tanh_gaussian import TanhGaussian
from softrl.errors import ConfigError
from softrl.training.config import validated
from softrl.types import Continuous, Discrete, EnvSpec, Transition
from tests import compiled, tiny

pytestmark = pytest.mark.usefixtures("compiled_once")

TIMES, COUNT, OBS = 6, 4, 3
SPEC = EnvSpec("numbers", jax.ShapeDtypeStruct((OBS,), jnp.float32), Continuous(2), COUNT, 100)
ARMS = SPEC._replace(action=Discrete(3))
SMALL = PolicyGradientConfig(horizon=TIMES, width=8, depth=1, epochs=2, minibatches=3)


class Bench(NamedTuple):
    """A compiled agent at its first state."""

    agent: object
    state: object
    hypers: object
    update: object


def bench(config: PolicyGradientConfig = SMALL, spec: EnvSpec = SPEC, log_prior=None, **hypers) -> Bench:
    numbers = jax.tree.map(jnp.float32, resolve(change(PolicyGradientHypers(), **hypers), spec))
    make, rows = partial(build, config, spec, log_prior=log_prior), partial(rollout, spec)
    agent, init, update = compiled.agent(("policy-gradient", config, repr(spec), log_prior), make, rows, numbers)
    return Bench(agent, init(jax.random.key(0), numbers), numbers, update)


def rollout(spec: EnvSpec = SPEC, seed: int = 0) -> Transition:
    """Random numbers; terminations, truncations and rows without a meaning in the middle, and at the end."""
    rng = np.random.default_rng(seed)
    numbers = lambda *shape: jnp.asarray(rng.normal(size=(TIMES, COUNT, *shape)), jnp.float32)
    discrete = isinstance(spec.action, Discrete)
    action = jnp.asarray(rng.integers(0, 3, (TIMES, COUNT)), jnp.int32) if discrete else jnp.tanh(numbers(2))
    flag = lambda *places: jnp.zeros((TIMES, COUNT), bool).at[tuple(zip(*places, strict=True))].set(True)
    ended, cut, spoiled = flag((2, 0), (5, 0)), flag((1, 1), (5, 1)), flag((3, 2), (4, 0))
    return Transition(numbers(OBS), action, numbers(), ended, cut, numbers(OBS), ~spoiled)


def stepped(there: Bench, rows: Transition, state=None, hypers=None):
    state = there.state if state is None else state
    return there.update(state, rows, there.hypers if hypers is None else hypers, jax.random.key(1), Clock.start())


@pytest.fixture(scope="module")
def small() -> Bench:
    return bench()


def by_hand(reward, discount, value, next_value, ended, valid, trace) -> np.ndarray:
    """Σ_i (λγ)ⁱ δ_{t+i}, each sum on its own, up to an end or to a row without a meaning."""
    out = np.zeros(reward.shape)
    for t, n in np.argwhere(valid):
        factor = 1.0
        for i in range(t, len(reward)):
            if not valid[i, n]:
                break
            out[t, n] += factor * (reward[i, n] + discount[i, n] * next_value[i, n] - value[i, n])
            factor *= trace * discount[i, n]
            if ended[i, n]:
                break
    return out


@pytest.mark.parametrize("trace", [0.0, 0.7, 1.0])
def test_a_truncated_step_counts_its_successors_value_and_no_sum_goes_past_an_end(trace):
    rows, rng = rollout(), np.random.default_rng(1)
    value, next_value = rng.normal(size=(2, TIMES, COUNT))
    valid, terminated = np.asarray(rows.valid), np.asarray(rows.terminated)
    ended = terminated | np.asarray(rows.truncated)
    discount = np.where(terminated, 0.0, 0.9)
    expected = by_hand(np.asarray(rows.reward), discount, value, next_value, ended, valid, trace)
    numbers = (jnp.float32(x) for x in (rows.reward, discount, value, next_value))
    found = advantages(*numbers, jnp.asarray(ended), jnp.asarray(valid), trace)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_row_without_a_meaning_may_hold_anything():
    valid = jnp.asarray([[True], [False], [True]])
    nan = jnp.asarray([[1.0], [jnp.nan], [1.0]])
    one, no = jnp.ones((3, 1)), jnp.zeros((3, 1), bool)
    assert np.asarray(advantages(nan, one, nan, nan, no, valid, 1.0)).tolist() == [[1.0], [0.0], [1.0]]


@pytest.mark.parametrize("spec", [SPEC, ARMS])
@pytest.mark.parametrize("normalize", [True, False])
def test_rewards_are_soft_and_the_value_learns_soft_returns(spec, normalize):
    """Against sums by hand of r − α log π of the action that was taken, and of V of the true successor."""
    config = dataclasses.replace(SMALL, normalize_advantages=normalize)
    there = bench(config, spec, temperature=0.3, gamma=0.9, gae_lambda=0.8, reward_scale=2.0)
    given, parts = rollout(spec), parts_of(config, spec)
    rows = rows_of(parts, there.state, given, there.hypers)
    flat = lambda x: x.reshape(-1, *x.shape[2:])
    dist, _ = parts.kind.policy.network.apply(there.state.policy.params, (), flat(given.obs))
    taken = flat(given.action)
    if isinstance(spec.action, Discrete):
        log_prob = np.take_along_axis(np.asarray(jax.nn.log_softmax(dist.logits)), np.asarray(taken)[:, None], 1)[:, 0]
    else:
        log_prob = tanh_gaussian.log_prob(dist, jnp.arctanh(taken))
    np.testing.assert_allclose(rows.log_old, log_prob, rtol=1e-4, atol=1e-5)
    value, after = (parts.value.apply(there.state.value.params, (), flat(x))[0] for x in (given.obs, given.next_obs))
    table = lambda x: np.asarray(x, np.float64).reshape(TIMES, COUNT)
    terminated, valid = np.asarray(given.terminated), np.asarray(given.valid)
    discount, ended = np.where(terminated, 0.0, 0.9), terminated | np.asarray(given.truncated)
    reward = 2.0 * np.asarray(given.reward) - 0.3 * table(log_prob)
    expected = by_hand(reward, discount, table(value), table(after), ended, valid, 0.8).reshape(-1)
    np.testing.assert_allclose(rows.target, np.asarray(value) + expected, rtol=1e-4, atol=1e-4)
    counted = valid.reshape(-1)
    if normalize:
        expected = (expected - expected[counted].mean()) / expected[counted].std()
    np.testing.assert_allclose(np.asarray(rows.advantage)[counted], expected[counted], rtol=1e-3, atol=1e-4)
    np.testing.assert_array_equal(rows.weight, counted)


def test_an_actions_probability_is_that_of_the_action_that_was_stored_even_at_its_bounds():
    """float32 rounds tanh 9 to 1, whose probability density is no number; ratios of two policies stay right."""
    kind = parts_of(SMALL, SPEC).kind
    pre_tanh = jnp.float32([[0.3, -1.0], [3.0, -4.0], [9.0, -20.0]])
    one, other = (TanhGaussian(jnp.full((3, 2), mean), jnp.full((3, 2), -0.5)) for mean in (0.0, 0.1))
    found = kind.log_prob(other, jnp.tanh(pre_tanh)) - kind.log_prob(one, jnp.tanh(pre_tanh))
    # log N(u; 0.1) − log N(u; 0) = (0.1 u − 0.005) / σ², two dimensions.
    expected = (0.1 * np.asarray(pre_tanh) - 0.005).sum(-1) * math.e
    np.testing.assert_allclose(found[:2], expected[:2], rtol=1e-3, atol=1e-3)
    # Beyond the last number before 1 that counts, u = 7.25: of the probabilities of all that lies there.
    ends = np.array([7.2543, 7.2543])
    mass = [stats.norm.logcdf((np.array([1.0, -1.0]) * mean - ends) * math.exp(0.5)).sum() for mean in (0.0, 0.1)]
    np.testing.assert_allclose(found[2], mass[1] - mass[0], rtol=1e-3, atol=1e-3)


def test_a_policy_that_saturates_is_not_taken_for_one_of_much_entropy():
    """Its actions are typical of it, however far its mean lies beyond what float32 tells apart from 1."""
    kind = parts_of(SMALL, SPEC).kind
    for mean, log_std in ((8.0, -2.5), (9.5, -3.0), (12.0, -5.0)):
        dist = TanhGaussian(jnp.full((1, 2), mean), jnp.full((1, 2), log_std))
        moved = dist._replace(mean=dist.mean - 0.1)
        ratio = kind.log_prob(moved, jnp.ones((1, 2))) - kind.log_prob(dist, jnp.ones((1, 2)))
        assert float(kind.log_prob(dist, jnp.ones((1, 2)))[0]) > 20.0 and abs(float(ratio[0])) < 1e-3


def test_every_row_is_learnt_from_once_an_epoch(small):
    """With no step at all the losses of all minibatches are those of the whole rollout."""
    still = {"policy_lr": 0.0, "value_lr": 0.0}
    whole = bench(dataclasses.replace(SMALL, epochs=1, minibatches=1), **still)
    given = rollout()._replace(valid=jnp.ones((TIMES, COUNT), bool))  # minibatches of equal weight
    parts, one = stepped(bench(**still), given)[2], stepped(whole, given)[2]
    for name in ("policy_loss", "value_loss", "entropy", "explained_variance"):
        np.testing.assert_allclose(getattr(parts, name), getattr(one, name), rtol=1e-4, atol=1e-5)
    assert float(parts.kl) == 0.0 and float(parts.clip_fraction) == 0.0


def test_the_steps_of_one_rollout_move_the_policy_away_from_the_one_that_acted(small):
    new, feedback, info = stepped(small, rollout(), hypers=change_to(small, policy_lr=0.005))
    assert bool(feedback.finite) and feedback.td_error == ()
    assert float(info.kl) > 0.0 and float(info.clip_fraction) > 0.0
    assert not tiny.same_bits(new.policy.params, small.state.policy.params)
    assert not tiny.same_bits(new.value.params, small.state.value.params)


def change_to(there: Bench, **values):
    return dataclasses.replace(there.hypers, **{name: jnp.float32(value) for name, value in values.items()})


def test_rows_without_a_meaning_leave_no_trace(small):
    given = rollout()
    spoil = lambda x: jnp.where(given.valid.reshape(TIMES, COUNT, *(1,) * (x.ndim - 2)), x, 0.5).astype(x.dtype)
    other = jax.tree.map(spoil, given)._replace(**{n: getattr(given, n) for n in ("terminated", "truncated", "valid")})
    one, two = (stepped(small, rows)[0] for rows in (given, other))
    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-7), one, two)


@pytest.mark.parametrize("field", ["reward", "obs", "next_obs", "action"])
@pytest.mark.parametrize("poison", [np.nan, np.inf])
def test_a_rollout_that_is_not_finite_spoils_no_network(small, field, poison):
    given = rollout()
    new, feedback, _ = stepped(small, given._replace(**{field: getattr(given, field).at[0, 0].set(poison)}))
    if field == "action" and poison == np.inf:
        assert feedback.finite, "an infinite action counts as the largest"
    elif field in ("obs", "next_obs") and poison == np.inf:
        assert feedback.finite, "infinite observations are clipped"
    else:
        assert not feedback.finite
        assert tiny.same_bits(new.policy, small.state.policy), "all advantages are measured by the same deviation"
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(new))
    assert stepped(small, given, state=new)[1].finite


def test_the_temperature_rises_where_the_policy_was_too_certain_and_falls_where_it_was_too_random():
    """Adam's first step is the rate itself, whatever the gradient's size."""
    there = bench(dataclasses.replace(SMALL, auto_temperature=True), temperature_lr=0.01)
    _, _, info = stepped(there, rollout())
    for target, sign in ((float(info.entropy) + 0.5, 1.0), (float(info.entropy) - 0.5, -1.0)):
        new, _, _ = stepped(there, rollout(), hypers=change_to(there, target_entropy=target))
        moved = new.temperature.params - there.state.temperature.params
        np.testing.assert_allclose(moved, sign * 0.01, rtol=1e-3)


def test_a_fixed_temperature_is_the_one_that_is_asked_for_now(small):
    new, _, info = stepped(small, rollout(), hypers=change_to(small, temperature=0.25))
    np.testing.assert_allclose([info.temperature, jnp.exp(new.temperature.params)], 0.25, rtol=1e-6)


@pytest.mark.parametrize("spec", [SPEC, ARMS])
def test_a_uniform_prior_takes_its_log_density_from_every_reward_and_nothing_else(spec):
    """α log p more than plain entropy at each step: which actions are best stays as it was."""
    density = -math.log(3.0) if spec is ARMS else -2.0 * math.log(2.0)
    lead = lambda action: action.shape if spec is ARMS else action.shape[:-1]
    prior = lambda obs, action: jnp.full(lead(action), density)
    plain, priced = bench(spec=spec, temperature=0.5), bench(spec=spec, log_prior=prior, temperature=0.5)
    given = rollout(spec)
    told = stepped(plain, given._replace(reward=given.reward + 0.5 * density))[0]
    found = stepped(priced, given)[0]
    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-6), found.policy.params, told.policy.params)


def test_the_statistics_by_which_a_rollout_acts_are_those_by_which_it_is_learnt_from(small):
    """Log-probabilities of what acted are computed when the rollout is whole: until then nothing may move them."""
    seen = Transition(*(x[0] for x in rollout()[:7]))._replace(obs=jnp.full((COUNT, OBS), 7.0))
    state, _ = small.agent.observe(small.state, small.agent.carry(COUNT, jax.random.key(0)), seen, small.hypers)
    assert not tiny.same_bits(state.statistics, small.state.statistics)
    assert tiny.same_bits(small.agent.policy(state), small.agent.policy(small.state))
    after, _, _ = stepped(small, rollout(), state=state)
    assert tiny.same_bits(after.acting, state.statistics)
    assert tiny.same_bits(small.agent.policy(after).statistics, state.statistics)


@pytest.mark.parametrize("spec", [SPEC, ARMS])
def test_the_policy_acts_without_jax_as_with_it(spec):
    there = bench(spec=spec)
    after = stepped(there, rollout(spec), hypers=change_to(there, policy_lr=0.1))[0]
    obs = np.random.default_rng(0).normal(size=(5, OBS)).astype(np.float32)
    policy = there.agent.policy(after)
    found = actor(SMALL, spec, policy).act(obs)
    np.testing.assert_allclose(found, there.agent.act(policy, (), obs, None)[0], atol=2e-6)


def test_what_contradicts_itself_is_refused_in_one_line():
    with pytest.raises(ConfigError, match="weighs by the ratio itself"):
        softrl.train(tiny_run(importance_weights=True))
    with pytest.raises(ConfigError, match="minibatches 5 must divide the 64 rows of a rollout, horizon 8 times"):
        softrl.train(tiny_run(minibatches=5))
    with pytest.raises(ConfigError, match="multiple of the 8 vector steps"):
        softrl.train(tiny_run(chunk_steps=12))


def tiny_run(**changes):
    return tiny.config(
        "policy-gradient", **{"horizon": 8, "updates_per_step": 1, "learning_starts": 0, "minibatches": 2, **changes}
    )


@pytest.mark.slow
def test_a_run_resumes_to_the_same_bits_and_leaves_as_a_policy_file(tmp_path):
    whole = softrl.train(tiny_run(seeds=2), out=tmp_path / "whole")
    softrl.train(tiny_run(seeds=2, steps=256), out=tmp_path / "parts")
    parts = softrl.train(tiny_run(seeds=2), out=tmp_path / "parts")
    assert tiny.same_bits(whole.state, parts.state)
    last = parts.metrics[-1]
    assert last["updates"] == 512 // 8 // 8 and last["train"]["finite"] == [1.0, 1.0]
    assert set(algorithm("policy-gradient").metrics) <= last["train"].keys()
    assert softrl.load(tmp_path / "parts").policy(np.zeros(1, np.float32)).shape == (1,)


def test_every_preset_is_a_run_that_validates():
    for name in algorithm("policy-gradient").presets:
        for env in ("brax/halfcheetah", "brax/inverted_pendulum", "gym/CartPole-v1"):
            for platform in ("cpu", "gpu"):
                config = softrl.preset(env, algorithm="policy-gradient", platform=platform, name=name)
                rows = config.agent.horizon * config.env.num_envs
                assert rows % config.agent.minibatches == 0 and config.training.chunk_steps % config.agent.horizon == 0
                assert config.training.learning_starts == 0


def test_settings_of_a_replay_that_nothing_reads_are_refused_and_needless_ones_not_asked_for():
    config = softrl.preset("probe/bounded-lq", algorithm="policy-gradient", data_shards=2, num_envs=8, minibatches=2)
    assert validated(config).training.replay_shards == 1
    for setting in ({"batch_size": 64}, {"n_step": 3}, {"replay_size": 1_000}, {"recency_floor": 0.5}):
        with pytest.raises(ConfigError, match=f"policy-gradient does not read {next(iter(setting))}, got"):
            validated(softrl.change(config, **setting))
