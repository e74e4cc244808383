"""Training on the host: the same bits again, whoever was faster, and from a checkpoint."""

import multiprocessing
import re

import chex
import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gymnasium.spaces import Box

import softrl
from softrl.agents.noise import NOISES, NoiseState, draw_in_numpy, seen
from softrl.agents.sac import SACConfig, actor, build
from softrl.clock import Clock
from softrl.numpy_network import TanhGaussian
from softrl.numpy_policy import NumpyPolicy
from softrl.training import hosted
from softrl.training.assemble import assemble, member_hypers
from softrl.training.hosted_device import abstract_state, compile_device
from softrl.types import Continuous, Spec, Transition
from tests import tiny

pytestmark = pytest.mark.usefixtures("compiled_once")
each_kind = pytest.mark.parametrize(
    "kind", [kind if kind == "pink" else pytest.param(kind, marks=pytest.mark.slow) for kind in NOISES]
)

SIZES = {
    "env": "gym/InvertedPendulum-v5",
    "backend": "sync",
    "num_envs": 2,
    "episode_length": 20,
    "updates_per_step": 1,
    "learning_starts": 20,
    "chunk_steps": 10,
    "eval_every": 40,
    "eval_episodes": 1,
    "steps": 80,
}


def config(**changes) -> softrl.Config:
    return tiny.config(**{**SIZES, **changes})


def finished(**changes) -> dict:
    return softrl.train(config(**changes)).metrics[-1]


def numbers(record: dict) -> dict:
    return {name: value for name, value in record.items() if name != "timing"}


@pytest.mark.parametrize("overlap", [True, False])
def test_the_same_seed_gives_the_same_bits_whoever_was_faster(overlap):
    one, two = (finished(overlap=overlap) for _ in range(2))
    assert numbers(one) == numbers(two)
    assert one["updates"] == 31


def test_a_run_grown_in_its_directory_is_the_one_that_never_stopped(tmp_path):
    straight = finished(steps=160)
    softrl.train(config(steps=80), out=tmp_path / "run")
    grown = softrl.train(config(steps=160), out=tmp_path / "run")
    assert numbers(grown.metrics[-1]) == numbers(straight)
    assert len(grown.metrics) == 5
    action = softrl.load(tmp_path / "run").policy(np.zeros(4))
    assert action.shape == (1,)


@each_kind
def test_noise_with_a_memory_goes_on_in_a_run_that_is_resumed(kind, tmp_path):
    settings = {"exploration": kind, "train_freq": 2}
    straight = softrl.train(config(steps=160, **settings))
    softrl.train(config(steps=80, **settings), out=tmp_path / "run")
    grown = softrl.train(config(steps=160, **settings), out=tmp_path / "run")
    assert numbers(grown.metrics[-1]) == numbers(straight.metrics[-1])
    assert tiny.same_bits(grown.state.rollout.carry.noise, straight.state.rollout.carry.noise)


def test_without_snapshots_a_resumed_run_never_joins_two_episodes(tmp_path):
    pendulum = {"env": "gym/Pendulum-v1", "episode_length": 200}
    softrl.train(config(**pendulum, steps=80), out=tmp_path / "run")
    resumed = softrl.train(config(**pendulum, steps=160), out=tmp_path / "run")
    valid = np.asarray(resumed.state.learner.replay.valid[0])
    np.testing.assert_array_equal(np.flatnonzero(~valid[:80, 0]), [39])  # the newest row when it was stopped
    assert resumed.metrics[-1]["env_steps"] == 160


class NaNReset(gymnasium.Env):
    """Its third reset shows what is no number; steps never do."""

    observation_space, action_space = Box(-10.0, 10.0, (2,)), Box(-1.0, 1.0, (1,))
    resets, x = 0, np.zeros(2, np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.x, self.resets = self.np_random.uniform(-1, 1, 2).astype(np.float32), self.resets + 1
        return np.where(self.resets == 3, np.float32(np.nan), self.x), {}

    def step(self, action):
        assert np.isfinite(action).all()
        self.x = np.float32(0.9) * self.x + np.float32(0.1) * action
        return self.x, -float(self.x @ self.x), False, False, {}


def test_a_reset_that_gives_nan_spoils_its_row_and_nothing_that_learns():
    done = softrl.train(config(env="own", steps=160, eval_every=160, episode_length=10), env=lambda: NaNReset())
    health, learner = done.metrics[-1]["health"], done.state.learner
    assert health["quarantined"] == [2] and health["skipped"] == [0], "a row of each of two environments"
    for leaf in jax.tree.leaves((learner.agent, learner.replay)):
        assert np.all(np.isfinite(np.asarray(leaf, np.float64)))


def test_stored_successors_are_the_environments_own():
    run = softrl.train(config(steps=120, learning_starts=10_000))
    replay = jax.tree.map(lambda x: np.asarray(x)[0], run.state.learner.replay)
    ended = replay.terminated | replay.truncated
    assert ended[:60].any()
    # An episode's first observation is a fresh one, near zero; what follows it moves.
    assert np.abs(replay.obs[1:60][ended[:59]]).max() < 0.011


def made(**changes):
    """A hosted run that is compiled but not started, and its hyperparameters."""
    assembled = assemble(config(**changes))
    hypers = jax.tree.map(lambda x: jnp.float32([x]), assembled.hypers)
    return hosted.compile_hosted(assembled, abstract_state(assembled), hypers), hypers


def acting_policies(**changes) -> list[float]:
    """A number of the policy by which each step after the warm-up of one chunk acted."""
    loop, hypers = made(learning_starts=8, chunk_steps=12, **changes)
    policies, act = [], NumpyPolicy.act

    def note(policy, obs, noise):
        policies.append(float(policy.arrays["policy/Dense_0/bias"][0]))
        return act(policy, obs, noise)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(NumpyPolicy, "act", note)
        hosted.chunk(loop, hosted.started(loop, jax.random.key(0, impl="threefry2x32")[None], hypers), hypers)
    return policies


@each_kind
def test_every_environment_remembers_its_noise_until_its_episode_ends(kind):
    loop, hypers = made(chunk_steps=12, train_freq=2, exploration=kind)
    run = hosted.started(loop, jax.random.key(0, impl="threefry2x32")[None], hypers)
    acted, act, words = [], NumpyPolicy.act, run.env.key[0]

    def note(policy, obs, noise):
        acted.append(noise)
        return act(policy, obs, noise)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(NumpyPolicy, "act", note)
        for _ in range(2):
            run, _ = hosted.chunk(loop, run, hypers)
    rows, after = run.learner.replay, jax.tree.map(lambda x: np.asarray(x)[0], run.rollout.carry.noise)
    ended = np.asarray(rows.terminated | rows.truncated | ~rows.valid)[0, :24]
    warm = loop.assembled.program.learning_starts
    assert warm % 2 == 0 and len(acted) == 24 - warm and ended[warm:-1].any()
    state = NoiseState(np.zeros_like(after.vectors), np.zeros_like(after.left))
    head = TanhGaussian(1, -5.0, 2.0)
    for step in range(24):
        if step % 2 == 0:  # of each call of the device
            random = hosted.generator(words, step, hosted.EXPLORE)
        noise, state = draw_in_numpy(NOISES[kind], state, random)
        if step < warm:
            np.testing.assert_array_equal(rows.action[0, step], head.uniform_of(noise))
        else:
            np.testing.assert_array_equal(acted[step - warm], noise)
        state = seen(state, ended[step])
    assert tiny.same_bits(state, after)


def test_a_chunk_acts_by_a_policy_that_is_one_call_old_when_overlapping():
    new, old = acting_policies(overlap=False), acting_policies(overlap=True)
    assert len(set(new)) == len(new)  # every step by another policy: the newest
    assert old[0] == 0.0  # the first update is not there yet
    assert old[1] == new[0]  # it came from the same data
    assert len(set(old)) == len(old)


@pytest.mark.slow
def test_steps_of_one_call_are_by_one_policy_and_learned_from_one_by_one():
    new, old = (acting_policies(overlap=overlap, train_freq=2) for overlap in (False, True))
    assert len(new) == 8
    assert new[::2] == new[1::2]
    assert len(set(new)) == 4
    assert old[:2] == [0.0, 0.0]
    assert old[2:4] == new[:2]
    assert finished(train_freq=2)["updates"] == 30  # the tenth step, the first that may, is within a call


@pytest.mark.slow  # it compiles a large replay
def test_no_step_copies_the_replay():
    rows, size = 50_000, {"num_envs": 1, "updates_per_step": 6, "train_freq": 2, "chunk_steps": 4}
    assembled = assemble(config(**size, replay_size=rows))
    device = compile_device(assembled.program, abstract_state(assembled), member_hypers(assembled), 2)
    copied = re.findall(r"= \w+\[([\d,]+)\]\S* copy\(", device.improve.as_text())
    assert copied, "the text has no copies at all: it is spelled otherwise now"
    assert not [shape for shape in copied if str(rows) in shape.split(",")]


def test_a_call_of_several_steps_is_as_many_calls():
    rng = np.random.default_rng(0)
    obs = rng.normal(size=(4, 2, 4)).astype(np.float32)
    number, flag = rng.normal(size=(4, 2)).astype(np.float32), np.zeros((4, 2), bool)
    rows = Transition(obs, np.tanh(number)[..., None], number, flag, flag, obs + 1.0, ~flag)
    ends = []
    for steps in (1, 2):
        loop, hypers = made(train_freq=steps, chunk_steps=4)
        state = (Clock.start(), *loop.device.start(jax.random.key(0, impl="threefry2x32"), hypers))
        for begin in range(0, 4, steps):
            call = jax.tree.map(lambda x, begin=begin, steps=steps: x[begin : begin + steps], rows)
            state, policy, info = loop.device.improve(state, hypers, call)
            assert len(info) == steps
        clock, learner, _ = state
        ends.append((clock, learner._replace(key=()), policy))
    chex.assert_trees_all_close(*ends, rtol=1e-5, atol=1e-6)  # two programs: sums may be taken in another order


@pytest.mark.parametrize("activation", ["relu", "silu", "elu", "gelu", "tanh"])
@pytest.mark.parametrize("norm", ["layer", "none"])
def test_the_host_acts_as_the_device_does(activation, norm):
    spec = Spec(
        {"a": jax.ShapeDtypeStruct((3,), jnp.float32), "b": jax.ShapeDtypeStruct((2,), jnp.float32)}, Continuous(2), "a"
    )
    agent_config = SACConfig(width=16, activation=activation, norm=norm)
    agent = build(agent_config, spec)
    hypers = jax.tree.map(jnp.float32, softrl.resolve(softrl.SACHypers(), spec))
    state = agent.init(jax.random.key(0), hypers)
    statistics = state.statistics._replace(mean=jax.tree.map(lambda x: x + 0.3, state.statistics.mean))
    policy = agent.policy(state._replace(statistics=statistics))
    draw = np.random.default_rng(0)
    obs = {"a": draw.normal(size=(5, 3)).astype(np.float32), "b": draw.normal(size=(5, 2)).astype(np.float32)}
    device, _, _ = agent.act(policy, (), obs, None)
    plain = actor(agent_config, spec, policy)
    host = plain.act(obs)
    np.testing.assert_allclose(host, device, atol=2e-6)  # float32 sums in another order
    assert host.dtype == np.float32
    noise = draw.standard_normal((5, 2), np.float32)
    assert not np.allclose(plain.act(obs, noise), host)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"seeds": 2}, "on the host"),
        ({"data_shards": 2, "replay_shards": 2}, "on the host"),
        ({"train_freq": 4}, "chunk_steps must be a multiple of train_freq, 4; got 10"),
    ],
)
def test_what_the_host_cannot_do_is_refused_before_any_compile(change, told):
    with pytest.raises(softrl.ConfigError, match=told):
        softrl.train(config(**change))


def test_a_run_leaves_no_processes_of_its_environments_behind():
    run = softrl.train(config(backend="async", num_envs=2), progress=False)
    assert not multiprocessing.active_children()
    run.evaluate(episodes=2)
    assert not multiprocessing.active_children()
