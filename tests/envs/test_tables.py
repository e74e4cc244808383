"""A table as an environment is the very model that exact inference solves."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import softrl
from softrl.envs import tabular
from softrl.envs.episodes import episodes
from softrl.envs.gridworld import BRIDGE, gridworld, where
from softrl.inference import TabularMDP
from softrl.types import Discrete
from tests import tiny
from tests.oracles import chain


def rollout(mdp, *, num_envs: int, steps: int, length: int = 10_000):
    """States, actions, rewards and successors `[steps, num_envs]` under uniform actions, and how episodes ended."""
    env = episodes(tabular(mdp), name="table", num_envs=num_envs, episode_length=length)

    def step(state, key):
        action = jax.random.randint(key, (num_envs,), 0, mdp.num_actions)
        after = env.step(state, action)
        return after, (state.obs, action, after.reward, after.final_obs, after.terminated, after.obs)

    def run(key):
        return jax.lax.scan(step, env.reset(key), jax.random.split(jax.random.key(1), steps))[1]

    obs, *rest = tiny.compiled(run, jax.random.key(0))(jax.random.key(0))
    where_is = lambda x: np.asarray(x).argmax(-1)
    return where_is(obs), np.asarray(rest[0]), np.asarray(rest[1]), where_is(rest[2]), np.asarray(rest[3]), rest[4]


def test_transitions_rewards_and_ends_are_the_tables():
    mdp = chain.mdp()
    states, actions, rewards, successors, terminated, _ = rollout(mdp, num_envs=256, steps=400)
    np.testing.assert_array_equal(rewards, np.float32(mdp.reward)[states, actions])
    np.testing.assert_array_equal(terminated, successors == chain.END)
    assert (states != chain.END).all(), "an episode went on behind its end"
    counts = np.zeros(np.shape(mdp.transition))
    np.add.at(counts, (states.ravel(), actions.ravel(), successors.ravel()), 1)
    seen = counts.sum(-1, keepdims=True)
    chances = counts[:2] / seen[:2]
    # Four standard errors of a frequency; exactly none where the table says none.
    error = 4.0 * np.sqrt(mdp.transition[:2] * (1 - mdp.transition[:2]) / seen[:2])
    assert (np.abs(chances - mdp.transition[:2]) <= error + 1e-12).all()


def test_impossible_successors_never_happen_however_a_row_is_rounded():
    rows = np.full((10, 1, 10), 0.1)
    rows[:, :, 9] = 0.0
    rows[:, :, 8] = 1.0 - rows[:, :, :8].sum(-1)
    mdp = TabularMDP(rows, np.ones((10, 1)), np.eye(10)[0])
    *_, successors, terminated, _ = rollout(mdp, num_envs=1024, steps=200)
    assert set(np.unique(successors)) == set(range(9)) and not terminated.any()


def test_a_paid_state_without_exit_is_no_end():
    mdp = TabularMDP(np.ones((1, 2, 1)), np.ones((1, 2)), np.ones(1))
    *_, terminated, obs = rollout(mdp, num_envs=4, steps=8)
    assert not terminated.any() and np.asarray(obs).shape == (8, 4, 1)


def test_what_is_no_model_is_refused_by_name():
    with pytest.raises(ValueError, match="transition"):
        tabular(TabularMDP(np.ones((2, 2, 2)), np.zeros((2, 2)), np.float64([1, 0])))
    with pytest.raises(ValueError, match="reward"):
        tabular(TabularMDP(chain.mdp().transition, np.zeros((5, 3, 3)), chain.mdp().initial))


def test_the_gridworld_is_an_environment_by_name_and_its_goal_ends_it():
    source = softrl.preset("probe/gridworld")
    env = softrl.make_env(source.env, num_envs=2)
    world = gridworld()
    assert env.spec.action == Discrete(4) and env.spec.obs.shape == (len(world.cells) + 1,)
    state, right = jax.jit(env.reset)(jax.random.key(0)), jnp.full(2, 1, jnp.int32)
    assert np.asarray(state.obs).argmax(-1).tolist() == [world.cells[where(BRIDGE, "S")]] * 2
    for _ in range(60):
        state = jax.jit(env.step)(state, right)
        if bool(state.terminated.any()):
            break
    assert bool(state.terminated.any())


def test_a_gridworld_of_ones_own_slip_is_another_world():
    config = softrl.preset("probe/gridworld", env_kwargs='{"slip": 0.0}')
    env = softrl.make_env(config.env, num_envs=1, stagger=False)
    state = jax.jit(env.reset)(jax.random.key(0))
    ends = []
    for _ in range(9):
        state = jax.jit(env.step)(state, jnp.ones(1, jnp.int32))
        ends.append(bool(state.terminated[0]))
    assert ends == [False] * 8 + [True], "straight over the bridge are eight moves, and one from the goal to the end"
