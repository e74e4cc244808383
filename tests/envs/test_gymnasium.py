"""Gymnasium behind the host's door: true last observations, replayable seeds, bad numbers kept out."""

import functools

import gymnasium
import jax
import numpy as np
import pytest
from gymnasium.envs.mujoco.inverted_pendulum_v5 import InvertedPendulumEnv
from gymnasium.spaces import Box, Dict, Discrete, MultiDiscrete, Tuple

import softrl
from softrl.clock import Counter as Counted
from softrl.envs import EnvConfig, boxes, families, make_env
from softrl.envs.gymnasium import KNOWN
from softrl.envs.gymnasium_state import is_gymnasiums
from softrl.replay import ReplayHypers, time_major
from softrl.types import Hypers, Transition


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
    """Discrete actions, counted from three."""

    action_space = Discrete(2, start=3)

    def step(self, action):
        assert self.action_space.contains(action)
        return super().step([action])


class Plate(Counter):
    """Actions with two axes; observations of every kind, the steps into the episode among them."""

    observation_space = Dict(
        {
            "pair": Tuple((Discrete(4, start=2), Box(0, 9, (), np.int64))),
            "picture": Box(0, 255, (2, 2), np.uint8),
        }
    )
    action_space = Box(np.float32([[0, 0, 0], [-1, -1, -1]]), np.float32([[1, 2, 3], [1, 1, 1]]))

    def _seen(self):
        return {"pair": (np.int64(2 + self.steps % 4), np.int64(self.steps)), "picture": np.full((2, 2), 7, np.uint8)}

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self._seen(), {}

    def step(self, action):
        assert action.shape == (2, 3)
        self.steps += 1
        return self._seen(), float(action.sum()), self.steps == self.falls_at, False, {}


class Huge(Counter):
    """Pays what float32 cannot hold at its second step, or shows it at its third."""

    def __init__(self, pays=True):
        super().__init__()
        self.pays = pays

    def step(self, action):
        obs, reward, *rest = super().step(action)
        reward = 1e39 if self.pays and self.steps == 2 else reward
        return obs * (1.0 if self.pays or self.steps != 3 else 1e39), reward, *rest


class Impatient(Counter):
    """Cuts its episodes after two steps by a rule of its own."""

    def step(self, action):
        obs, reward, *_ = super().step(action)
        return obs, reward, False, self.steps == 2, {}


class Reusing(Counter):
    """Writes every observation into the same array, on death too."""

    def __init__(self, falls_at: int = 0):
        super().__init__(falls_at)
        self.seen = np.zeros(2)

    def reset(self, *, seed=None, options=None):
        self.seen[:], info = super().reset(seed=seed)
        return self.seen, info

    def step(self, action):
        self.seen[:], *rest = super().step(action)
        return self.seen, *rest


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
    names = {"Counter": Counter, "Buttons": Buttons, "Sensors": Sensors, "Plate": Plate, "Impatient": Impatient}
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


def gymnasium_env(name: str, *, num_envs: int, episode_length: int, vectorization: str = "sync"):
    sizes = {"num_envs": num_envs, "episode_length": episode_length}
    return make_env(EnvConfig(env=f"gym/{name}", backend=vectorization, **sizes))


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


@pytest.mark.parametrize(("vectorization", "falls"), [("sync", 0), ("sync", 3), ("async", 3)])
def test_the_last_observation_of_an_environment_that_reuses_its_array_is_not_the_next_ones_first(vectorization, falls):
    config = EnvConfig(env="own", backend=vectorization, num_envs=2, episode_length=3)
    env = make_env(config, functools.partial(Reusing, falls))
    env.reset(0)
    after = stepped(env, np.ones((3, 2, 1)))[-1]
    np.testing.assert_array_equal(after.final_obs, [[3.0, 10.0]] * 2)
    np.testing.assert_array_equal(after.obs[:, 0], 0.0)
    env.close()


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


def test_discrete_actions_start_where_the_environment_starts():
    env = made("Buttons", 100)
    assert env.spec.action == softrl.Discrete(2)
    env.reset(0)
    np.testing.assert_array_equal(env.step(np.int32([0, 1])).obs[:, 1], [3.0, 4.0])


def test_actions_come_back_in_their_shape_and_observations_of_every_kind_as_numbers():
    env = made("PlateFalling", 100)
    assert env.spec.action.size == 6
    first = env.reset(0)
    shapes = jax.tree.map(lambda x: (x.shape, str(x.dtype)), env.spec.obs)
    assert shapes == {"pair": (((4,), "float32"), ((), "float32")), "picture": ((2, 2), "uint8")}
    np.testing.assert_array_equal(first["pair"][0], [[1, 0, 0, 0]] * 2)
    after = stepped(env, np.ones((3, 2, 6), np.float32))[-1]
    np.testing.assert_array_equal(after.reward, 9.0)
    assert after.terminated.all()
    np.testing.assert_array_equal(after.final_obs["pair"][0], [[0, 0, 0, 1]] * 2)
    np.testing.assert_array_equal(after.final_obs["pair"][1], 3.0)
    np.testing.assert_array_equal(after.obs["pair"][0], [[1, 0, 0, 0]] * 2)
    assert after.final_obs["picture"].dtype == np.uint8


def test_replay_keeps_the_ends_that_a_rule_of_the_environments_own_makes():
    env = made("Impatient", 1000)
    env.reset(0)
    rows = stepped(env, np.zeros((8, 2, 1)))
    assert [bool(row.truncated.all()) for row in rows] == [False, True] * 4
    assert all(row.valid.all() for row in rows)
    replay = time_major(env.spec, capacity=32, batch_size=64)
    state, obs, add = replay.init(), np.zeros((2, 2), np.float32), jax.jit(replay.add)
    for t, row in enumerate(rows):
        seen = Transition(obs, np.zeros((2, 1)), row.reward, row.terminated, row.truncated, row.final_obs, row.valid)
        state, obs = add(state, Counted.of(t), seen), row.obs
    hypers = Hypers(softrl.SACHypers(), ReplayHypers(np.float32(np.inf), np.float32(0.1)))
    batch = jax.jit(replay.sample)(state, Counted.of(8), jax.random.key(0), hypers)
    assert (batch.weight == 1.0).all()
    np.testing.assert_array_equal(batch.next_obs[:, 0], batch.obs[:, 0] + 1.0)  # one step further, also at a cut
    assert not gymnasium_env("Pendulum-v1", num_envs=1, episode_length=200).spec.own_truncation
    pendulum = gymnasium.make("Pendulum-v1", max_episode_steps=5)
    twice = gymnasium.wrappers.TimeLimit(pendulum, 20)  # softrl moves the outer limit; the inner one goes on cutting
    assert is_gymnasiums(pendulum, "classic_control") and not is_gymnasiums(twice, "classic_control")


def test_environments_of_neighbouring_seeds_share_no_seed():
    firsts = []
    for seed in (7, 8):
        env = made("Counter", 100, num_envs=4)
        firsts += env.reset(seed)[:, 1].tolist()
    assert len(set(firsts)) == 8


def test_actions_and_observations_of_other_kinds_are_refused_by_what_softrl_takes():
    for space in (
        MultiDiscrete([2, 3]),
        Box(0, 5, (2,), np.int32),
        Box(-np.inf, np.inf, (1,)),
        Box(-1e10, 1e10, (1,)),
        Dict({"a": Discrete(2)}),
    ):
        with pytest.raises(softrl.ConfigError, match=r"softrl (takes|scales) .*; got"):
            boxes.acted("env", space)
    with pytest.raises(softrl.ConfigError, match="observations must be a Box, a Discrete"):
        boxes.boxes("env", MultiDiscrete([2, 3]), Discrete(2))


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
    obs = stepped(env, actions[:40])[-1].obs
    snapshot = env.snapshot()
    assert len(snapshot) == env.snapshot_size
    if not env.snapshot_size:
        assert name in ("Pendulum-v1", "MountainCarContinuous-v0")
        return
    other.restore(snapshot, obs)
    for one, two in zip(stepped(env, actions[40:]), stepped(other, actions[40:]), strict=True):
        for a, b in zip(one, two, strict=True):
            np.testing.assert_array_equal(a, b)
    env.close()
    other.close()


def test_what_float32_cannot_hold_is_left_out_like_what_is_not_finite(recwarn):
    env = make_env(EnvConfig(env="own", backend="sync", num_envs=1, episode_length=30), Huge)
    env.reset(0)
    steps = stepped(env, np.zeros((3, 1, 1)))
    assert [bool(step.valid.all()) for step in steps] == [True, False, True]
    assert all(np.isfinite(step.reward).all() for step in steps)
    other = make_env(EnvConfig(env="own", backend="sync", num_envs=1, episode_length=30), lambda: Huge(pays=False))
    other.reset(0)
    assert [bool(step.valid.all()) for step in stepped(other, np.zeros((3, 1, 1)))] == [True, True, False]
    assert not recwarn.list


class Chase(InvertedPendulumEnv):
    """A robot of Gymnasium's with a goal in Python."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.aim, self.observation_space = 0.0, Box(-np.inf, np.inf, (5,), np.float64)

    def reset_model(self):
        self.aim = float(self.np_random.uniform(-1, 1))
        return super().reset_model()

    def _get_obs(self):
        return np.concatenate([self.data.qpos, self.data.qvel, [self.aim]])


class Telling(Chase):
    """The same, and says what it is."""

    def get_state(self):
        return self.data.qpos.copy(), self.data.qvel.copy(), np.float64(self.aim)

    def set_state(self, qpos, qvel, aim=None):
        super().set_state(qpos, qvel)
        self.aim = self.aim if aim is None else float(aim)


class Counting(Counter):
    """Not a robot; says what it is."""

    def get_state(self):
        return np.int64(self.steps)

    def set_state(self, steps):
        self.steps = int(steps)


class Summary(Counter):
    """Its `get_state` means something else."""

    def get_state(self):
        return {"steps": self.steps}

    def set_state(self, steps):
        raise AssertionError("nobody knows what this takes")


def test_only_what_is_known_whole_is_snapshot():
    def size(make):
        config = EnvConfig(env="own", backend="sync", num_envs=2, episode_length=30)
        return make_env(config, families.found(make)).snapshot_size

    assert size(lambda: gymnasium.make("InvertedPendulum-v5")) > 0
    assert size(Chase) == 0
    stacked = lambda: gymnasium.wrappers.FrameStackObservation(gymnasium.make("InvertedPendulum-v5"), 2)
    assert size(stacked) == 0
    assert size(Counter) == 0
    assert size(Summary) == 0


@pytest.mark.parametrize("kind", [Telling, Counting])
def test_an_environment_that_tells_what_it_is_goes_on_to_the_bit(kind):
    config = EnvConfig(env="own", backend="sync", num_envs=2, episode_length=30)
    env, other = (make_env(config, families.found(kind)) for _ in range(2))
    actions = np.random.default_rng(0).uniform(-1, 1, (80, 2, 1)).astype(np.float32)
    env.reset(3)
    obs = stepped(env, actions[:40])[-1].obs
    assert env.snapshot_size > 0
    other.restore(env.snapshot(), obs)
    for one, two in zip(stepped(env, actions[40:]), stepped(other, actions[40:]), strict=True):
        for a, b in zip(one, two, strict=True):
            np.testing.assert_array_equal(a, b)


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
