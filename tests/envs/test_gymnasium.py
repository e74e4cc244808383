"""Gymnasium behind the host's door: true last observations, replayable seeds, bad numbers kept out."""

import gymnasium
import numpy as np
import pytest
from gymnasium.spaces import Box, Dict, Discrete

import softrl
from softrl.envs import make_env
from softrl.envs.gymnasium import KNOWN, gymnasium_env


class Counter(gymnasium.Env):
    """Observation: steps into the episode and the action that came in. Falls, or breaks, at a step."""

    observation_space = Box(-np.inf, np.inf, (2,), np.float64)
    action_space = Box(np.float32([0.0]), np.float32([10.0]))

    def __init__(self, falls_at: int = 0, breaks_at: int = 0):
        self.falls_at, self.breaks_at, self.steps = falls_at, breaks_at, 0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.steps = 0
        return np.asarray([0.0, self.np_random.uniform()]), {}

    def step(self, action):
        self.steps += 1
        broken = np.nan if self.steps == self.breaks_at else 0.0
        obs = np.asarray([self.steps + broken, float(action[0])])
        return obs, 1.0, self.steps == self.falls_at, False, {}


class Buttons(Counter):
    """Discrete actions."""

    action_space = Discrete(2)


class Sensors(Counter):
    """Dictionary observations."""

    observation_space = Dict({"state": Box(-1e3, 1e3, (1,)), "privileged_state": Box(-1e3, 1e3, (2,))})

    def reset(self, *, seed=None, options=None):
        obs, info = super().reset(seed=seed)
        return {"state": obs[:1].astype(np.float32), "privileged_state": obs.astype(np.float32)}, info

    def step(self, action):
        obs, *rest = super().step(action)
        return {"state": obs[:1].astype(np.float32), "privileged_state": obs.astype(np.float32)}, *rest


@pytest.fixture(scope="module", autouse=True)
def registered():
    """The environments above under names of their own."""
    names = {"Counter": Counter, "Buttons": Buttons, "Sensors": Sensors}
    for name, kind in names.items():
        gymnasium.register(f"softrl-test/{name}-v0", entry_point=kind, disable_env_checker=True)
        gymnasium.register(
            f"softrl-test/{name}Falling-v0", entry_point=kind, kwargs={"falls_at": 3}, disable_env_checker=True
        )
    gymnasium.register(
        "softrl-test/Breaking-v0", entry_point=Counter, kwargs={"breaks_at": 2}, disable_env_checker=True
    )
    yield
    for name in [name for name in gymnasium.registry if name.startswith("softrl-test/")]:
        del gymnasium.registry[name]


def made(name: str, length: int, num_envs: int = 2):
    return gymnasium_env(f"softrl-test/{name}-v0", num_envs=num_envs, episode_length=length)


def stepped(env, actions):
    return [env.step(action) for action in actions]


def test_a_time_limit_keeps_the_last_observation_and_is_not_death():
    env = made("Counter", 3)
    env.reset(0)
    after = stepped(env, np.zeros((3, 2, 1)))[-1]
    assert after.truncated.all()
    assert not after.terminated.any()
    np.testing.assert_array_equal(after.final_obs[:, 0], 3.0)
    np.testing.assert_array_equal(after.obs[:, 0], 0.0)


def test_death_at_the_time_limit_is_death():
    env = made("CounterFalling", 3)
    env.reset(0)
    after = stepped(env, np.zeros((3, 2, 1)))[-1]
    assert after.terminated.all()
    assert not after.truncated.any()


def test_actions_are_mapped_to_the_bounds_and_clipped():
    env = made("Counter", 100)
    env.reset(0)
    for ours, theirs in ((-1.0, 0.0), (0.0, 5.0), (1.0, 10.0), (3.0, 10.0)):
        np.testing.assert_allclose(env.step(np.full((2, 1), ours)).obs[:, 1], theirs)


def test_dictionaries_come_whole_also_at_an_episodes_end():
    env = made("SensorsFalling", 100)
    env.reset(0)
    after = stepped(env, np.full((3, 2, 1), 1.0))[-1]
    np.testing.assert_array_equal(after.final_obs["state"][:, 0], 3.0)
    np.testing.assert_array_equal(after.final_obs["privileged_state"], [[3.0, 10.0]] * 2)
    np.testing.assert_array_equal(after.obs["state"][:, 0], 0.0)


def test_non_finite_numbers_are_kept_out_and_their_environment_starts_anew():
    env = made("Breaking", 100)
    env.reset(0)
    first, bad, after = stepped(env, np.zeros((3, 2, 1)))
    assert first.valid.all()
    assert not bad.valid.any()
    assert np.isfinite(bad.obs).all()
    np.testing.assert_array_equal(bad.final_obs, first.obs)
    np.testing.assert_array_equal(bad.obs[:, 0], 0.0)
    np.testing.assert_array_equal(after.obs[:, 0], 1.0)


@pytest.mark.parametrize("name", ["HalfCheetah-v5", *(pytest.param(n, marks=pytest.mark.slow) for n in KNOWN)])
def test_a_snapshot_goes_on_to_the_bit_over_the_ends_of_episodes(name):
    draw = np.random.default_rng(0)
    env, other = (gymnasium_env(name, num_envs=2, episode_length=30) for _ in range(2))
    actions = draw.uniform(-1, 1, (80, 2, env.spec.action.size)).astype(np.float32)
    env.reset(3)
    stepped(env, actions[:40])
    snapshot = env.snapshot()
    assert len(snapshot) == env.snapshot_size
    if not env.snapshot_size:
        assert name in ("Pendulum-v1", "MountainCarContinuous-v0")
        return
    other.restore(snapshot)
    for one, two in zip(stepped(env, actions[40:]), stepped(other, actions[40:]), strict=True):
        for a, b in zip(one, two, strict=True):
            np.testing.assert_array_equal(a, b)
    env.close()
    other.close()


def test_equal_seeds_begin_equal_sequences_of_episodes():
    one, two = (made("Counter", 3) for _ in range(2))
    starts = []
    for env in (one, two):
        first = env.reset(7)
        later = stepped(env, np.zeros((7, 2, 1)))
        starts.append([first, later[2].obs, later[5].obs])
    np.testing.assert_array_equal(*starts)
    assert not np.array_equal(starts[0][0], starts[0][1])
    assert not np.array_equal(starts[0][0], one.reset(8))


def test_what_cannot_be_learnt_is_refused():
    with pytest.raises(softrl.ConfigError, match="continuous"):
        made("Buttons", 10)
    with pytest.raises(softrl.ConfigError, match="did you mean 'HalfCheetah-v5'"):
        gymnasium_env("HalfCheeta-v5", num_envs=1, episode_length=10)
    with pytest.raises(softrl.ConfigError, match="sync, async"):
        make_env(softrl.EnvConfig(env="gym/Pendulum-v1", backend="spring"))


@pytest.mark.slow
def test_processes_give_the_same_episodes():
    draw = np.random.default_rng(0)
    actions = draw.uniform(-1, 1, (12, 2, 1)).astype(np.float32)
    seen = []
    for how in ("sync", "async"):
        env = gymnasium_env("Pendulum-v1", num_envs=2, episode_length=5, vectorization=how)
        seen.append([env.reset(1), *(after.final_obs for after in stepped(env, actions))])
        env.close()
    np.testing.assert_array_equal(*seen)
