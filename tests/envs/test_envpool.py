"""EnvPool behind the host's door: its own episodes, true last observations, replayable seeds."""

import sys

import numpy as np
import pytest

import softrl
from softrl.envs import EnvConfig, make_env
from tests import tiny

pytestmark = pytest.mark.usefixtures("compiled_once")

envpool = pytest.importorskip("envpool", reason="large; SOFTRL_EXTRAS=envpool scripts/test has it")


def envpool_env(name: str, *, num_envs: int, episode_length: int):
    sizes = {"num_envs": num_envs, "episode_length": episode_length}
    return make_env(EnvConfig(env=f"envpool/{name}", backend="sync", **sizes))


def stepped(env, actions):
    return [env.step(action) for action in actions]


def theirs(name: str, actions: np.ndarray, *, seed: int, limit: int) -> list[list[tuple]]:
    """What EnvPool says when it resets by itself, a step late: for each environment, its rows and first observations.

    Args: `actions`: `[N, T, A]`, taken one after the other by each environment, none in the steps that only reset.
    """
    count = len(actions)
    env = envpool.make(name, env_type="gymnasium", num_envs=count, seed=seed, max_episode_steps=limit)
    told = [[row] for row in np.float32(env.reset()[0])]
    taken, over = np.zeros(count, int), np.zeros(count, bool)
    while taken.max() < actions.shape[1]:
        obs, reward, terminated, truncated, _ = env.step(actions[np.arange(count), taken].copy())
        for n in range(count):
            told[n].append(np.float32(obs[n]))
            if not over[n]:
                told[n][-1] = (told[n][-1], reward[n], terminated[n], truncated[n])
        taken += ~over
        over = ~over & (terminated | truncated)
    return told


def ours(env, actions: np.ndarray, seed: int) -> list[list[tuple]]:
    """The same of a `HostEnv`."""
    told = [[row] for row in env.reset(seed)]
    for after in stepped(env, actions.swapaxes(0, 1)):
        for n in range(len(actions)):
            told[n].append((after.final_obs[n], after.reward[n], after.terminated[n], after.truncated[n]))
            if after.terminated[n] or after.truncated[n]:
                told[n].append(after.obs[n])
            else:
                np.testing.assert_array_equal(after.obs[n], after.final_obs[n])
    return told


def test_every_row_and_every_episode_is_envpools_own():
    # Whole 64ths, which the mapping to the bounds ±1 does not round.
    actions = np.random.default_rng(0).integers(-64, 65, (3, 60, 3)).astype(np.float32) / 64
    env = envpool_env("Hopper-v4", num_envs=3, episode_length=24)
    mine, raw = ours(env, actions, seed=5), theirs("Hopper-v4", actions, seed=5, limit=24)
    env.close()
    ends = set()
    for one, two in zip(mine, raw, strict=True):
        rows = min(len(one), len(two))
        assert rows > 55
        for a, b in zip(one[:rows], two[:rows], strict=True):
            assert isinstance(a, tuple) == isinstance(b, tuple)
            for x, y in zip(a, b, strict=True):
                np.testing.assert_array_equal(x, y)
            ends |= {(bool(a[2]), bool(a[3]))} if isinstance(a, tuple) else set()
    assert ends == {(False, False), (True, False), (False, True)}  # going on, fallen, cut


def test_equal_seeds_begin_equal_sequences_of_episodes():
    actions = np.random.default_rng(1).uniform(-1, 1, (2, 12, 1)).astype(np.float32)
    env = envpool_env("InvertedPendulum-v4", num_envs=2, episode_length=5)
    one, two, other = (ours(env, actions, seed) for seed in (1, 1, 2))
    for a, b in zip(one, two, strict=True):
        assert [np.concatenate([np.atleast_1d(x) for x in row]).tolist() for row in a] == [
            np.concatenate([np.atleast_1d(x) for x in row]).tolist() for row in b
        ]
    assert not np.array_equal(one[0][0], one[1][0])
    assert not np.array_equal(one[0][0], other[0][0])


def test_a_run_trains_on_it_and_resumes(tmp_path):
    small = {"env": "envpool/InvertedPendulum-v4", "backend": "sync", "num_envs": 3, "episode_length": 20}
    sizes = {"n_step": 1, "learning_starts": 24, "chunk_steps": 10, "eval_every": 60, "eval_episodes": 1}
    softrl.train(tiny.config(**small, **sizes, steps=60), out=tmp_path / "run")
    grown = softrl.load(tmp_path / "run").resume(steps=120)
    assert [record["env_steps"] for record in grown.metrics] == [0, 60, 120]
    assert grown.metrics[-1]["train"]["episodes"][0] > 0


def test_what_cannot_be_learnt_is_refused():
    with pytest.raises(softrl.ConfigError, match="did you mean 'HalfCheetah-v4'"):
        envpool_env("HalfCheeta-v4", num_envs=1, episode_length=10)
    assert envpool_env("CartPole-v1", num_envs=1, episode_length=10).spec.action == softrl.Discrete(2)
    with pytest.raises(softrl.ConfigError, match="must be sync"):
        make_env(softrl.EnvConfig(env="envpool/Pendulum-v1", backend="async"))
    assert softrl.preset("envpool/Hopper-v4").env.episode_length == 1000


def test_without_envpool_one_is_told_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "envpool", None)
    with pytest.raises(softrl.ConfigError, match=r"pip install 'softrl\[envpool\]'"):
        softrl.preset("envpool/SomethingElse-v0")
