"""Films of policies of Gymnasium's robots: the episode that was filmed is the simulator's own."""

import gymnasium
import jax
import numpy as np
import pytest
from PIL import Image

import softrl
from experiments.environments import thermostat
from softrl.envs import EnvConfig, found
from softrl.reporting.film import film
from softrl.training.assemble import assemble
from tests import tiny


def assembled(robot: str):
    return assemble(tiny.config(env=f"gym/{robot}", backend="sync", episode_length=20, n_step=1, data_shards=1))


def policy(made):
    agent = made.program.agent
    state = jax.jit(lambda key: agent.init(key, jax.tree.map(jax.numpy.float32, made.hypers.agent)))(jax.random.key(0))
    return agent.policy(state)


def sixtyfourths(obs: np.ndarray) -> np.ndarray:
    """Six actions from an observation, such that the mapping to the bounds ±1 does not round them."""
    return np.round(64 * np.tanh(np.float32(obs[..., :6]))) / 64


def test_a_rollout_is_the_robots_own_episode_and_ends_where_it_ends():
    config = EnvConfig(env="gym/HalfCheetah-v5", episode_length=7)
    motion = found("gym/HalfCheetah-v5").film(sixtyfourths, config, seed=3, steps=250)
    env = gymnasium.make("HalfCheetah-v5").unwrapped
    obs, _ = env.reset(seed=3)
    for row in range(8):
        np.testing.assert_array_equal(motion.pos[row], env.data.xpos[1:])
        np.testing.assert_array_equal(motion.rot[row], env.data.xquat[1:])
        obs, *_ = env.step(sixtyfourths(obs))
    assert motion.pos.shape == (8, 7, 3)
    assert motion.fps == pytest.approx(20.0)
    env.close()


def test_a_film_of_gymnasiums_robot_shows_something_that_moves(tmp_path):
    made = assembled("InvertedPendulum-v5")
    path = film(made, policy(made), tmp_path / "replay.gif", steps=8)
    with Image.open(path) as picture:
        assert picture.n_frames > 2
        frames = []
        for index in range(picture.n_frames):
            picture.seek(index)
            frames.append(np.asarray(picture.convert("RGB"), np.int32))
    assert len(np.unique(frames[0].reshape(-1, 3), axis=0)) > 50
    assert np.abs(frames[-1] - frames[0]).max() > 50


def test_what_draws_itself_is_filmed_as_it_draws(tmp_path):
    made = assemble(tiny.config(env="experiments.environments.thermostat:Thermostat", backend="sync", n_step=1))
    path = film(made, policy(made), tmp_path / "replay.gif", steps=8)
    with Image.open(path) as picture:
        assert picture.n_frames > 2
        assert picture.size == (64, 48)


def test_what_a_function_makes_is_filmed_where_it_hands_render_mode_on(tmp_path):
    made = assemble(tiny.config(backend="sync", n_step=1), env=lambda **more: thermostat.Thermostat(**more))
    with Image.open(film(made, policy(made), tmp_path / "replay.gif", steps=8)) as picture:
        assert picture.n_frames > 2


def test_a_brax_environment_of_ones_own_is_filmed(tmp_path):
    made = assemble(tiny.config(env="experiments.environments.reaching_arm:Arm"))
    path = film(made, policy(made), tmp_path / "replay.gif", steps=6)
    with Image.open(path) as picture:
        assert picture.n_frames > 1


def test_what_has_no_body_is_refused(tmp_path):
    probe = assemble(tiny.config())
    with pytest.raises(softrl.ConfigError, match="probe/bounded-lq has no body"):
        film(probe, policy(probe), tmp_path / "replay.mp4")
    robot = assembled("InvertedPendulum-v5")
    with pytest.raises(softrl.ConfigError, match="mp4 or gif"):
        film(robot, policy(robot), tmp_path / "replay.html")
    assert list(tmp_path.iterdir()) == []
