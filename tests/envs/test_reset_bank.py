"""First states that are made by the clock and kept: as fresh as those made on the spot, and members share no cost."""

from itertools import pairwise

import jax
import numpy as np
import pytest

import softrl
from softrl.envs.episodes import episodes
from softrl.errors import ConfigError
from softrl.types import Continuous, EnvState, Simulator
from tests import tiny

LENGTH, COUNT = 7, 5


def walker(tell=lambda: None) -> Simulator:
    """x′ = x + a from a random start in (0, 1); falls beyond 3. Args: `tell`: called by every reset."""

    def reset(key, index):
        jax.debug.callback(tell)
        x = jax.random.uniform(key, ())
        return x, x[None]

    def step(x, action):
        x = x + action[0]
        return x, x[None], x, x > 3.0

    return Simulator(reset, step, action=Continuous(1))


def walked(interval: int, actions: np.ndarray) -> list[EnvState]:
    """States along `[T, N]` actions, the bank refreshed as training does it."""
    env = episodes(walker(), name="walk", num_envs=COUNT, episode_length=LENGTH, reset_interval=interval)
    reset, step, refresh = map(jax.jit, (env.reset, env.step, env.refresh))
    states = [reset(jax.random.key(0))]
    for t, action in enumerate(actions):
        now = states[-1]
        if interval and t % interval == 0:
            now = now._replace(bank=refresh(now))
        states.append(step(now, np.float32(action)[:, None]))
    return states


@pytest.mark.parametrize("interval", [1, 3, LENGTH])
def test_episodes_begin_as_if_each_had_been_reset_on_the_spot(interval):
    still = np.zeros((4 * LENGTH, COUNT))
    for kept, made in zip(walked(interval, still), walked(0, still), strict=True):
        assert tiny.same_bits(kept._replace(bank=()), made)


def test_only_who_dies_twice_between_two_refreshes_begins_twice_in_the_same_state():
    actions = np.zeros((12, COUNT))
    actions[[1, 3], 0] = 5.0  # between the refreshes of steps 0 and 4
    actions[[5, 9], 1] = 5.0  # a refresh in between
    starts = {0: [], 1: []}
    for before, now in pairwise(walked(4, actions)):
        for n in starts:
            if now.episode[n] > before.episode[n] and now.terminated[n]:
                starts[n].append(float(now.obs[n, 0]))
    assert len(starts[0]) == len(starts[1]) == 2
    assert starts[0][0] == starts[0][1]
    assert starts[1][0] != starts[1][1]


def resets_of_two_members(interval: int) -> int:
    """Calls of the simulator's reset in 16 steps of two members of one program, in which some episode always ends."""
    calls = []
    config = tiny.config(env="own/walk", num_envs=COUNT, episode_length=COUNT, seeds=2, learning_starts=10**6)
    config = softrl.change(config, reset_interval=interval)
    tiny.trained(config, 1, how="vmap", env=walker(lambda: calls.append(None)))
    jax.effects_barrier()
    return len(calls)


@pytest.mark.slow
def test_members_of_one_program_pay_for_resets_only_when_the_clock_says_so():
    # Without a bank the branch is a choice of both sides under vmap: a reset a step, and the first one.
    assert resets_of_two_members(0) == 1 + 16
    assert resets_of_two_members(4) == 1 + 4


def test_first_states_are_never_kept_for_longer_than_an_episode():
    config = softrl.EnvConfig(env="probe/bounded-lq", num_envs=2, episode_length=5, reset_interval=1000)
    assert softrl.make_env(config).interval == 5


def test_hosts_reset_by_themselves():
    config = softrl.preset("gym/Pendulum-v1", reset_interval=4)
    with pytest.raises(ConfigError, match="reset_interval 0, got 4"):
        softrl.train(config, progress=False)
