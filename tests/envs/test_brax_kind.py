"""What environments of Brax's kind may do that Brax's do not: write into their state, hold their model elsewhere."""

from types import SimpleNamespace
from typing import NamedTuple

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
import pytest

from softrl.envs import EnvConfig, found, make_env
from softrl.errors import ConfigError

BALL = "<mujoco><worldbody><body><freejoint/><geom size='0.1'/></body></worldbody></mujoco>"


class State(NamedTuple):
    """As MuJoCo Playground's."""

    data: dict
    obs: jax.Array
    reward: jax.Array
    done: jax.Array
    info: dict


class Data(NamedTuple):
    """Of MJX what a film needs."""

    xpos: jax.Array
    xquat: jax.Array


class Counting:
    """Moves by 0.1 a control step and pays what it has counted in a dictionary of its state; falls beyond 0.45."""

    action_size = 1
    dt = 0.1

    def __init__(self, xml: str | None = None):
        if xml is not None:
            self.mj_model = mujoco.MjModel.from_xml_string(xml)

    def reset(self, rng):
        """At 0."""
        return self.state(jnp.zeros(()), {"count": jnp.zeros(())})

    def state(self, x, info):
        """World and body, of which the world is not filmed."""
        data = Data(jnp.stack([jnp.zeros(3), jnp.stack([x, x, x])]), jnp.tile(jnp.array([1.0, 0.0, 0.0, 0.0]), (2, 1)))
        return State(data, x[None], info["count"] * 1.0, jnp.float32(x > 0.45), info)

    def step(self, state, action):
        """Writes into the dictionary that it is given, as Playground's do."""
        state.info["count"] = state.info["count"] + 1.0
        return self.state(state.obs[0] + 0.1 * jnp.where(action[0] > 0, 1.0, 0.0), state.info)


def test_a_fallen_robot_that_writes_into_its_state_earns_nothing_in_the_rest_of_a_repeat():
    env = make_env(EnvConfig(num_envs=2, episode_length=9, action_repeat=4), Counting(), stagger=False)
    state = env.reset(jax.random.key(0))
    rewards = []
    for _ in range(2):
        state = env.step(state, jnp.ones((2, 1)))
        rewards.append(float(state.reward[0]))
    assert rewards == [1.0 + 2.0 + 3.0 + 4.0, 5.0]
    assert state.terminated.all()


def test_a_film_of_a_mujoco_model_shows_every_action_until_the_fall():
    config = EnvConfig(action_repeat=2)
    seen = found(Counting(BALL)).film(lambda obs: jnp.ones(1), config, seed=0, steps=10)
    np.testing.assert_allclose(seen.pos[:, 0, 0], [0.0, 0.2, 0.4, 0.5], rtol=1e-6)
    assert (seen.model.nbody, seen.pos.shape, seen.rot.shape) == (2, (4, 1, 3), (4, 1, 4))
    assert seen.fps == 1.0 / (0.1 * 2)
    standing = found(Counting(BALL)).film(lambda obs: -jnp.ones(1), config, seed=0, steps=3)
    assert len(standing.pos) == 4


def test_what_has_no_model_cannot_be_filmed():
    with pytest.raises(ConfigError, match="neither sys, Brax's model of one, nor mj_model"):
        found(Counting()).film(lambda obs: jnp.ones(1), EnvConfig(), seed=0, steps=3)


def test_braxs_viewer_shows_no_model_but_braxs(tmp_path):
    from softrl.reporting import film
    from tests import tiny

    config = tiny.config(env="probe/bounded-lq")
    source = found("probe/bounded-lq")._replace(film=found(Counting(BALL)).film)
    program = SimpleNamespace(agent=SimpleNamespace())
    assembled = SimpleNamespace(source=source, config=config, program=program)
    with pytest.MonkeyPatch.context() as patch, pytest.raises(ConfigError, match="films of it are mp4 or gif"):
        patch.setattr(film, "afresh", lambda agent, policy, obs, key: jnp.ones((1, 1)))
        film.film(assembled, (), tmp_path / "replay.html")
