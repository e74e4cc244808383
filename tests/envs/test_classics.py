"""The classics in JAX are Gymnasium's, step for step."""

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import softrl
from softrl.envs import EnvConfig, make_env
from softrl.envs.classics import CLASSICS
from tests import tiny

THEIRS = {"cart-pole": "CartPole-v1", "pendulum": "Pendulum-v1", "mountain-car": "MountainCar-v0"}
TOLERANCE = 1e-5
"""Theirs computes in 64 bits, ours in 32: hundreds of roundings of 6e-8, and chaos lets them grow."""


def beside(name: str, actions: np.ndarray, seed: int) -> list[tuple]:
    """Both simulators from one state through the same actions, until an episode ends: (theirs, ours) a step."""
    env = gymnasium.make(THEIRS[name]).unwrapped
    env.reset(seed=seed)
    state = jnp.asarray(env.state, jnp.float32)
    step = tiny.compiled(CLASSICS[name][0]().step, state, jnp.asarray(actions[0]))
    pairs = []
    for action in actions:
        # From the same state at every step: what is compared is the step, not how far roundings have grown.
        state = jnp.asarray(env.state, jnp.float32)
        obs, reward, terminated, *_ = env.step(action)
        _, ours, pay, over = step(state, jnp.asarray(action))
        pairs.append(((obs, reward, terminated), (np.asarray(ours), float(pay), bool(over))))
        if terminated:
            break
    return pairs


@pytest.mark.parametrize("name", CLASSICS)
@pytest.mark.parametrize("seed", [0, 1])
def test_a_step_is_gymnasiums_step(name, seed):
    rng = np.random.default_rng(seed)
    if name == "pendulum":
        actions = rng.uniform(-2.5, 2.5, (200, 1)).astype(np.float32)  # beyond its bounds too
    else:
        pushes = rng.integers(0, 2, 40) * (2 if name == "mountain-car" else 1)
        actions = np.repeat(pushes, 5 if name == "mountain-car" else 1).astype(np.int32)
    for theirs, ours in beside(name, actions, seed):
        np.testing.assert_allclose(ours[0], theirs[0], atol=TOLERANCE)
        assert ours[1] == pytest.approx(theirs[1], abs=TOLERANCE)
        assert ours[2] == theirs[2]


def test_a_car_that_swings_gets_up_its_hill_where_gymnasiums_does():
    env = gymnasium.make("MountainCar-v0").unwrapped
    env.reset(seed=3)
    state = jnp.asarray(env.state, jnp.float32)
    step = tiny.compiled(CLASSICS["mountain-car"][0]().step, state, jnp.int32(0))
    taken, up = 0, False
    while not up:
        action, taken = 2 if env.state[1] >= 0 else 0, taken + 1
        up = env.step(action)[2]
        state, _, _, ours = step(state, jnp.int32(action))
        assert bool(ours) == up
    assert 50 < taken < 200


@pytest.mark.parametrize("name", CLASSICS)
def test_by_name_it_has_gymnasiums_spaces_time_limit_and_first_states(name):
    theirs = gymnasium.make(THEIRS[name])
    config = softrl.preset(f"classic/{name}")
    assert config.env.episode_length == theirs.spec.max_episode_steps
    env = make_env(config.env)
    assert env.spec.obs.shape == theirs.observation_space.shape
    obs = np.asarray(jax.jit(make_env(EnvConfig(env=f"classic/{name}", num_envs=512)).reset)(jax.random.key(0)).obs)
    wanted = np.stack([theirs.reset(seed=seed)[0] for seed in range(256)])
    # Ranges of 512 and 256 uniform draws miss an end of the interval by a hundredth of it at most, nearly surely.
    spread = np.ptp(wanted, axis=0) + 1e-6
    np.testing.assert_allclose(obs.min(0) / spread, wanted.min(0) / spread, atol=0.05)
    np.testing.assert_allclose(obs.max(0) / spread, wanted.max(0) / spread, atol=0.05)
