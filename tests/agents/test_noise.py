"""Noise with a memory: every action alone is a draw of the policy, only successive ones depend on each other."""

import math
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import softrl
from softrl import numpy_network
from softrl.agents.actor import drawn
from softrl.agents.carry import Stateless
from softrl.agents.noise import DECAY, LONGEST, NOISES, NoiseState, begin, draw, draw_in_numpy, seen
from softrl.agents.sac import SACConfig, SACHypers, build, resolve
from softrl.agents.sac.carry import uniform
from softrl.agents.sac.state import SACCarry
from softrl.distributions import categorical
from softrl.errors import ConfigError
from softrl.training import devices
from softrl.training.assemble import assemble
from softrl.training.programs import abstract_run
from softrl.types import Continuous, Discrete, Spec, Transition
from tests import tiny

pytestmark = pytest.mark.usefixtures("compiled_once")

SPEC = Spec(jax.ShapeDtypeStruct((3,), jnp.float32), Continuous(2))
SMALL = SACConfig(width=8, depth=1, norm="none", normalize_obs=False)
COUNT = 6
SIGMAS = 6.0
"""A mean of many numbers is further than that from its expectation once in 10⁹ seeds; these seeds are fixed."""

each_kind = pytest.mark.parametrize("kind", NOISES)


def played(kind: str, steps: int, *, num_envs: int, size: int = 1, ends: float = 0.0) -> np.ndarray:
    """The noise of some steps `[T, N, A]`. Args: `ends`: how probably any episode ends at a step."""
    noise = NOISES[kind]

    def step(state, key):
        vector, state = draw(noise, state, key)
        return seen(state, jax.random.uniform(jax.random.fold_in(key, 7), (num_envs,)) < ends), vector

    keys = jax.random.split(jax.random.key(5), steps)
    return np.asarray(jax.jit(lambda keys: jax.lax.scan(step, begin(noise, num_envs, size), keys)[1])(keys))


@each_kind
def test_every_noise_alone_is_standard_normal_whatever_ended_before(kind):
    all_of_them = played(kind, 24, num_envs=20_000, size=2, ends=0.1)
    ideal = np.vectorize(lambda x: 0.5 * math.erfc(-x / math.sqrt(2.0)))
    for step in (0, 1, 7, 23):
        one = all_of_them[step].astype(np.float64)
        ranks = (np.arange(len(one)) + 0.5) / len(one)
        for column in one.T:
            distance = np.abs(ideal(np.sort(column)) - ranks).max()
            # Dvoretzky, Kiefer and Wolfowitz: P(distance > d) ≤ 2 exp(−2 n d²), here 10⁻⁹.
            assert distance < math.sqrt(math.log(2e9) / (2 * len(one))) + 0.5 / len(one)
            assert abs(np.mean(column**2) - 1.0) < SIGMAS * math.sqrt(2.0 / len(one))
        assert abs(np.mean(one[:, 0] * one[:, 1])) < SIGMAS / math.sqrt(len(one)), "dimensions must be independent"
        assert abs(np.mean(one[:-1] * one[1:])) < SIGMAS / math.sqrt(one.size), "environments must be independent"


def test_a_vector_is_held_for_k_steps_as_often_as_one_over_k_squared_says():
    count = 20_000
    vectors = played("repeated", 2 * LONGEST + 1, num_envs=count)[..., 0]
    changes = vectors[1:] != vectors[:-1]
    first = 1 + np.argmax(changes, axis=0)
    later = changes & (np.arange(1, len(vectors))[:, None] > first)
    second = 1 + np.argmax(later, axis=0) - first
    assert len(np.unique(vectors[0])) > 0.99 * count, "each environment has a vector of its own"
    shares = 1.0 / np.arange(1, LONGEST + 1) ** 2
    shares /= shares.sum()
    for held in (first, second):
        assert held.min() == 1 and held.max() == LONGEST
        found = np.bincount(held, minlength=LONGEST + 1)[1:]
        assert (np.abs(found - count * shares) < SIGMAS * np.sqrt(count * shares * (1.0 - shares))).all()


def test_pink_noise_is_correlated_over_time_as_its_filters_are():
    values = played("pink", 80, num_envs=20_000)[..., 0].astype(np.float64)
    for start in (0, 15):  # at an episode's first step and later: it is stationary
        for lag in (1, 2, 5, 16, 64):
            expected = np.mean(DECAY**lag)
            # The product of two normal numbers of correlation ρ has variance 1 + ρ².
            bound = SIGMAS * math.sqrt((1.0 + expected**2) / values.shape[1])
            assert abs(np.mean(values[start] * values[start + lag]) - expected) < bound


def test_pink_noise_has_as_much_power_in_every_octave():
    """1/f: frequency times the filters' exact density is nearly constant from periods of 8 steps to 1024."""
    wave = 2.0 * np.pi * 0.5 ** np.arange(3, 11)
    density = (1.0 - DECAY**2) / (1.0 - 2.0 * DECAY * np.cos(wave[:, None]) + DECAY**2)
    octaves = wave * density.mean(axis=-1)
    assert octaves.max() < 1.3 * octaves.min()


@each_kind
def test_a_host_computes_the_same_noise(kind):
    noise, random = NOISES[kind], np.random.default_rng(0)
    there = begin(noise, COUNT, 2)
    here = NoiseState(*(np.asarray(x) for x in there))
    step = jax.jit(noise.step)
    for _ in range(20):
        numbers = random.standard_normal(there.vectors.shape, np.float32), random.random(COUNT, np.float32)
        ended = random.random(COUNT) < 0.2
        (theirs, there), (ours, here) = step(there, *numbers), noise.step(here, *numbers)
        np.testing.assert_allclose(ours, theirs, atol=1e-5)  # float32, sums in another order
        there, here = seen(there, ended), seen(here, ended)
        np.testing.assert_array_equal(here.left, there.left)
        assert all(type(x) is np.ndarray for x in (ours, *here))
        assert (ours.dtype, here.vectors.dtype, here.left.dtype) == ("float32", "float32", "int32")
    assert draw_in_numpy(noise, here, random)[0].shape == (COUNT, 2)


class Bench(NamedTuple):
    """An agent, the same without a memory, and what both know."""

    agent: object
    white: object
    state: object
    hypers: object
    policy: object
    obs: jax.Array


def bench(kind: str) -> Bench:
    agent, white = (build(replace(SMALL, exploration=name), SPEC) for name in (kind, "white"))
    hypers = jax.tree.map(jnp.float32, resolve(SACHypers(), SPEC))
    state = jax.jit(agent.init)(jax.random.key(0), hypers)
    return Bench(agent, white, state, hypers, agent.policy(state), jax.random.normal(jax.random.key(1), (COUNT, 3)))


def told(bench: Bench, **ended) -> Transition:
    """A vector step after which nothing ended but what is said."""
    no, number = jnp.zeros(COUNT, bool), jnp.zeros(COUNT)
    row = Transition(bench.obs, jnp.zeros((COUNT, 2)), number, no, no, bench.obs, ~no)
    return row._replace(**{name: jnp.asarray(rows) for name, rows in ended.items()})


def moved(bench: Bench, carry, key: int):
    """The carry after an action."""
    return bench.agent.act(bench.policy, carry, bench.obs, jax.random.key(key))[1]


@each_kind
def test_environments_whose_episode_ended_start_afresh_and_no_other(kind):
    there = bench(kind)
    rows = np.eye(COUNT, dtype=bool)
    ends = {"terminated": rows[0], "truncated": rows[1], "valid": ~rows[2]}
    carry = moved(there, there.agent.carry(COUNT, jax.random.key(0)), 1)
    # So that whoever goes on must go on: all have steps left.
    carry = carry._replace(noise=carry.noise._replace(left=jnp.full(COUNT, -2, jnp.int32)))
    _, ended = there.agent.observe(there.state, carry, told(there, **ends), there.hypers)
    np.testing.assert_array_equal(ended.noise.left, [0, 0, 0, 2, 2, 2])
    other = carry._replace(noise=carry.noise._replace(vectors=carry.noise.vectors + 1.0))  # another past
    _, other = there.agent.observe(there.state, other, told(there, **ends), there.hypers)
    same = np.asarray(moved(there, ended, 2).noise.vectors == moved(there, other, 2).noise.vectors).all((1, 2))
    np.testing.assert_array_equal(same, [True, True, True, False, False, False])


def test_a_held_vector_is_the_same_to_the_bit_until_its_steps_are_over():
    there = bench("repeated")
    carry = there.agent.carry(COUNT, jax.random.key(0))
    carry = carry._replace(noise=NoiseState(carry.noise.vectors + 0.3, jnp.int32([2, 2, 2, 1, 1, 1])))
    kept = []
    for step in range(2):
        carry = moved(there, carry, step)
        kept.append(np.asarray(carry.noise.vectors == jnp.float32(0.3)).all((1, 2)).tolist())
        _, carry = there.agent.observe(there.state, carry, told(there), there.hypers)
    assert kept == [[True] * COUNT, [True] * 3 + [False] * 3]


@each_kind
def test_an_action_is_the_policys_transform_of_the_noise(kind):
    there = bench(kind)
    carry = there.agent.carry(COUNT, jax.random.key(0))
    action, after, extras = there.agent.act(there.policy, carry, there.obs, jax.random.key(3))
    noise, state = draw(NOISES[kind], carry.noise, jax.random.key(3))
    dist, _ = drawn(SMALL, SPEC).network.apply(there.policy.params, (), there.obs)
    expected = np.tanh(np.asarray(dist.mean) + np.exp(dist.log_std) * np.asarray(noise))
    np.testing.assert_allclose(action, expected, atol=1e-6)  # float32
    assert tiny.same_bits(after, SACCarry(state, ())) and extras == ()


@each_kind
def test_each_discrete_action_alone_is_a_draw_of_the_policy_on_device_and_host(kind):
    count, logits = 40_000, jnp.array([0.5, -1.0, 0.0])
    probs = np.asarray(jax.nn.softmax(logits), np.float64)
    vectors = played(kind, 8, num_envs=count, size=6, ends=0.1)
    for step in (0, 7):
        there = categorical.transform(jnp.asarray(vectors[step]), categorical.Categorical(logits[None]))
        head = numpy_network.Categorical(3)
        here = head.act(np.asarray(logits)[None], head.of_normal(vectors[step]))
        found = np.bincount(here, minlength=3)
        assert (np.abs(found - count * probs) < SIGMAS * np.sqrt(count * probs * (1.0 - probs))).all()
        assert (here.dtype, there.dtype) == ("int32", "int32")
        assert np.mean(np.asarray(there) != here) < 1e-3  # ties within float32's logarithms


def test_held_noise_holds_a_discrete_action_while_the_policy_stays():
    agent = build(replace(SMALL, exploration="repeated"), SPEC._replace(action=Discrete(4)))
    hypers = jax.tree.map(jnp.float32, resolve(SACHypers(), SPEC._replace(action=Discrete(4))))
    policy, obs = agent.policy(jax.jit(agent.init)(jax.random.key(0), hypers)), jnp.zeros((COUNT, 3))
    carry = agent.carry(COUNT, jax.random.key(0))
    first, carry, _ = agent.act(policy, carry, obs, jax.random.key(1))
    carry = carry._replace(noise=carry.noise._replace(left=jnp.full(COUNT, 2, jnp.int32)))
    second, _, _ = agent.act(policy, carry, obs, jax.random.key(2))
    np.testing.assert_array_equal(first, second)
    assert len(np.unique(first)) > 1, "each environment has an action of its own"


@each_kind
def test_the_mode_knows_nothing_of_the_noise(kind):
    there = bench(kind)
    carry = moved(there, there.agent.carry(COUNT, jax.random.key(0)), 1)
    mode, after, _ = there.agent.act(there.policy, carry, there.obs, None)
    assert tiny.same_bits(mode, there.white.act(there.policy, Stateless(COUNT), there.obs, None)[0])
    assert tiny.same_bits(after, carry)


@each_kind
def test_warm_up_is_held_or_drifts_as_the_noise_does(kind):
    there = bench(kind)
    carry = moved(there, there.agent.carry(COUNT, jax.random.key(0)), 1)
    action, after = there.agent.explore(carry, jax.random.key(2))
    noise, state = draw(NOISES[kind], carry.noise, jax.random.key(2))
    expected = [[2.0 * 0.5 * math.erfc(-x / math.sqrt(2.0)) - 1.0 for x in row] for row in np.asarray(noise)]
    np.testing.assert_allclose(action, expected, atol=1e-6)  # float32
    assert tiny.same_bits(after, carry._replace(noise=state))


def warm_up(kind: str, action: Continuous | Discrete, head, size: int) -> np.ndarray:
    """Actions of one step in many environments, on the host; the device's must be the same."""
    vectors = played(kind, 8, num_envs=40_000, size=size, ends=0.1)[7]
    there, here = np.asarray(uniform(action, jnp.asarray(vectors))), head.uniform_of(vectors)
    assert (here.dtype, here.shape) == (there.dtype, there.shape)
    assert np.mean(np.abs(there - here) > 1e-6) < 1e-3  # float32; ties within its logarithms
    return here


@each_kind
def test_each_action_of_warm_up_alone_is_uniform_on_device_and_host(kind):
    actions = warm_up(kind, SPEC.action, numpy_network.TanhGaussian(2, -5.0, 2.0), 2).astype(np.float64)
    ranks = (np.arange(len(actions)) + 0.5) / len(actions)
    for column in actions.T:
        distance = np.abs(0.5 * (np.sort(column) + 1.0) - ranks).max()
        assert distance < math.sqrt(math.log(2e9) / (2 * len(column))) + 0.5 / len(column)  # as above
    found = np.bincount(warm_up(kind, Discrete(3), numpy_network.Categorical(3), 6), minlength=3)
    assert (np.abs(found - found.sum() / 3) < SIGMAS * math.sqrt(found.sum() * 2 / 9)).all()


@each_kind
def test_actions_that_nobody_follows_up_are_independent(kind):
    """Those of an evaluation: no `observe` between them."""
    there = bench(kind)
    carry = moved(there, there.agent.carry(COUNT, jax.random.key(0)), 1)
    other = carry._replace(noise=carry.noise._replace(vectors=carry.noise.vectors + 1.0))
    assert tiny.same_bits(moved(there, carry, 2), moved(there, other, 2))


def test_white_noise_has_the_carry_that_old_runs_have():
    assert build(SMALL, SPEC).carry(COUNT, jax.random.key(0)) == Stateless(COUNT)
    assert SMALL.exploration == "white"


def config(kind: str, *, actions: str = "continuous", **changes) -> softrl.Config:
    return tiny.config(env=f"tests.wanderer:{actions}", exploration=kind, **changes)


@pytest.mark.slow  # tests/training/test_hosted.py and tests/test_contracts.py have a run of each
@pytest.mark.parametrize(
    ("kind", "actions"), [("repeated", "continuous"), ("pink", "continuous"), ("repeated", "discrete")]
)
def test_a_run_that_goes_on_ends_as_one_that_never_stopped(kind, actions, tmp_path):
    settings = partial(config, kind, actions=actions)
    whole = softrl.train(settings(), progress=False).state
    softrl.train(settings(steps=256), out=tmp_path, progress=False)
    parts = softrl.train(settings(), out=tmp_path, progress=False)
    assert tiny.same_bits(whole, parts.state)
    assert parts.export(format="stablehlo").difference < 1e-4  # the mode, for any number of observations
    assert np.asarray(whole.rollout.carry.noise.vectors).any() and np.asarray(whole.rollout.carry.noise.left).any()


@each_kind
def test_rows_of_the_carry_are_environments_for_members_and_devices(kind):
    run = abstract_run(assemble(config(kind, seeds=2)))
    assert {x.shape[:2] for x in jax.tree.leaves(run.rollout.carry)} == {(2, 8)}
    mesh = devices.make_mesh(2, 4, jax.devices()[:8])
    placed = devices.shardings(mesh, run).rollout.carry
    assert {where.spec for where in jax.tree.leaves(placed)} == {jax.sharding.PartitionSpec("member", "data")}


def test_what_cannot_follow_an_environment_is_refused_in_one_line():
    learner = softrl.change(softrl.LearnerConfig(), exploration="repeated")
    with pytest.raises(ConfigError, match=r"exploration repeated \(white does not\), which a learner"):
        softrl.Learner(learner, SPEC.obs, SPEC.action, replay_capacity=1_000)
