"""Stable-Baselines3's manner: learn, predict, save, load."""

import gymnasium
import numpy as np
import pytest

import softrl
from softrl.compat.sb3 import SAC

SMALL = {"policy_kwargs": {"net_arch": [8]}, "batch_size": 16, "buffer_size": 500, "learning_starts": 20, "seed": 1}


@pytest.fixture(scope="module")
def model():
    return SAC("MlpPolicy", "Pendulum-v1", **SMALL).learn(60)


def test_it_steps_learns_and_acts_in_the_environments_bounds(model):
    assert model.num_timesteps == 60
    assert (model.learner.stored, model.learner.version) == (60, 41)
    obs = model.get_env().observation_space.sample()
    action, state = model.predict(obs)
    assert state is None
    assert action.shape == (1,)
    many = np.stack([model.predict(obs)[0] for _ in range(30)])
    assert np.abs(many).max() <= 2.0
    np.testing.assert_array_equal(model.predict(obs, deterministic=True)[0], model.predict(obs, deterministic=True)[0])


def test_a_loaded_model_predicts_the_same_and_learns_on(model, tmp_path):
    model.save(tmp_path / "pendulum")
    loaded = SAC.load(tmp_path / "pendulum", env="Pendulum-v1")
    obs = np.float32([1.0, 0.0, 0.5])
    np.testing.assert_array_equal(loaded.predict(obs, deterministic=True)[0], model.predict(obs, deterministic=True)[0])
    assert loaded.learner.state_sha256() == model.learner.state_sha256()
    loaded.learn(10, reset_num_timesteps=False)
    assert loaded.num_timesteps == 70
    assert loaded.learner.version == 51
    model.save(tmp_path / "pendulum")  # again, over the old one


def test_an_environment_with_other_spaces_cannot_take_the_place_of_the_old_one(model):
    with pytest.raises(softrl.ConfigError, match=r"observations of this model are .*\(3,\).*\(2,\)"):
        model.set_env("MountainCarContinuous-v0")
    with pytest.raises(softrl.ConfigError, match=r"low of this model are \[-2.0\], of env \[-1.0\]"):
        model.set_env(gymnasium.wrappers.RescaleAction(gymnasium.make("Pendulum-v1"), np.float32(-1), np.float32(1)))
    model.set_env("Pendulum-v1")


def test_a_callback_ends_learning(model):
    seen = []

    def stop(local, _):
        seen.append(local["self"].num_timesteps)
        return len(seen) < 3

    model.learn(50, stop)
    assert seen == [1, 2, 3]


def test_a_time_limit_is_stored_as_no_death():
    env = gymnasium.make("Pendulum-v1", max_episode_steps=5)
    small = SAC("MlpPolicy", env, **{**SMALL, "learning_starts": 1_000}).learn(12)
    assert not np.asarray(small.learner._state.learner.replay.terminated).any()
    successors = np.asarray(small.learner._state.learner.replay.next_obs)
    starts = np.asarray(small.learner._state.learner.replay.obs)
    assert not np.array_equal(successors[4], starts[5])  # the true last observation, not the next episode's first


@pytest.mark.parametrize(
    "arguments",
    [
        {"policy": "CnnPolicy"},
        {"env": None},
        {"env": "CartPole-v1"},
        {"ent_coef": "automatic"},
        {"policy_kwargs": {"net_arch": [64, 32]}},
        {"train_freq": 0},
        {"learning_rate": -1.0},
    ],
)
def test_arguments_that_cannot_be_are_refused_in_words(arguments):
    given = {"policy": "MlpPolicy", "env": "Pendulum-v1", **SMALL, **arguments}
    with pytest.raises(softrl.ConfigError):
        SAC(**given)
