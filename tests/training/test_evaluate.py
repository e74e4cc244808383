"""Evaluation: first whole episodes of a published policy, the same ones whatever training did."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from softrl.agents.carry import stateless
from softrl.algorithm import Agent
from softrl.envs.episodes import episodes
from softrl.training.evaluate import Evaluation, evaluate
from softrl.training.records import eval_part
from softrl.types import Continuous, Simulator

LENGTH, PAIRS = 6, 3


def counting(death: int, broken: int = -1) -> Simulator:
    """Pays the action at every step; dies at step `death`; environment `broken` emits NaN at its third step."""

    def step(sim, action):
        count, index = sim
        bad = jnp.where((index == broken) & (count == 2), jnp.nan, 0.0)
        return (count + 1, index), jnp.zeros(1) + bad, action[0], count + 1 >= death

    return Simulator(lambda key, index: ((jnp.int32(0), index), jnp.zeros(1)), step, Continuous(1))


def act(policy, carry, obs, key):
    """The mode pays ½, a sample something else."""
    count = len(obs)
    action = jnp.full((count, 1), 0.5) if key is None else jax.random.uniform(key, (count, 1))
    return action, carry, ()


AGENT = Agent(None, stateless, act, None, None, None, None)


def look(simulator: Simulator, seed: int = 0):
    env = episodes(simulator, name="count", num_envs=2 * PAIRS, episode_length=LENGTH, stagger=False)
    return jax.jit(partial(evaluate, env, AGENT, None))(jax.random.key(seed))


def test_an_episode_counts_until_its_time_limit():
    result = look(counting(death=100))
    np.testing.assert_array_equal(result.deterministic_return, [LENGTH * 0.5] * PAIRS)
    np.testing.assert_array_equal(result.deterministic_length, [LENGTH] * PAIRS)
    np.testing.assert_array_equal(result.stochastic_length, [LENGTH] * PAIRS)


def test_nothing_counts_after_a_death():
    result = look(counting(death=4))
    np.testing.assert_array_equal(result.deterministic_return, [2.0] * PAIRS)
    np.testing.assert_array_equal(result.deterministic_length, [4] * PAIRS)


def test_an_episode_that_broke_is_left_out_and_not_taken_for_a_short_one():
    """Where steps cost, a policy that breaks the simulator would else be the best."""
    result = look(counting(death=100, broken=1))
    np.testing.assert_array_equal(result.deterministic_return, [3.0, np.nan, 3.0])
    part = eval_part(result)
    assert (part["return_mean"], part["return_std"], part["length_mean"]) == (3.0, 0.0, LENGTH)
    nothing = eval_part(Evaluation(*np.full((4, 2), np.nan)))
    assert np.isnan(list(nothing.values())).all()


def test_the_stochastic_half_draws_anew_at_every_step_and_the_same_for_the_same_key():
    one, same, other = (look(counting(death=100), seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one.stochastic_return, same.stochastic_return)
    assert (np.asarray(one.stochastic_return) != np.asarray(other.stochastic_return)).all()
    assert len(np.unique(one.stochastic_return)) == PAIRS
