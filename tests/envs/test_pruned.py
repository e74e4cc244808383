"""A simulator's state without what nothing depends on: the same episodes, at the price of what is read."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import softrl
from softrl.envs.episodes import episodes
from softrl.envs.pruned import pruned
from softrl.types import Continuous, Simulator
from tests import tiny


class Cart(NamedTuple):
    """x, v: motion. wind: read by every step, changed by none. lag: what v becomes two steps later. Of no consequence:
    seen, which counts on by itself; key, a typed one; energy, computed anew by every step."""

    x: jax.Array
    v: jax.Array
    wind: jax.Array
    lag: tuple[jax.Array, jax.Array]
    seen: jax.Array
    key: jax.Array
    energy: dict[str, jax.Array]


READ = {".x", ".v", ".wind", ".lag[0]", ".lag[1]"}


def reset(key, index):
    x, wind = jax.random.uniform(key, 2)
    zero = jnp.float32(0.0)
    return Cart(x, zero, wind, (zero, zero), jnp.int32(index), key, {"kinetic": zero}), x[None]


def step(cart, action):
    x = jax.lax.fori_loop(0, 3, lambda _, x: x + 0.1 * cart.v, cart.x)
    v = cart.lag[0] + cart.wind
    lag = (cart.lag[1], cart.lag[1] + action[0])
    new = Cart(x, v, cart.wind, lag, cart.seen + 1, jax.random.fold_in(cart.key, 1), {"kinetic": v * v})
    return new, x[None], -x * x, x > 2.0


CART = Simulator(reset, step, Continuous(1))


def paths(tree) -> set[str]:
    return {jax.tree_util.keystr(path) for path, _ in jax.tree_util.tree_flatten_with_path(tree)[0]}


def test_what_a_later_step_reads_is_kept_and_nothing_else():
    state, _ = pruned(CART).reset(jax.random.key(0), jnp.int32(0))
    assert paths(state) == READ
    assert paths(pruned(CART).step(state, jnp.zeros(1))[0]) == READ


def told(simulator: Simulator, actions: np.ndarray):
    first = jax.jit(simulator.reset)(jax.random.key(3), jnp.int32(1))
    state, _ = first
    rows = [first[1]]
    for action in actions:
        state, *row = jax.jit(simulator.step)(state, action)
        rows.append(row)
    return rows


def test_an_episode_is_the_same_as_with_the_whole_state():
    actions = np.random.default_rng(0).uniform(-1.0, 1.0, (20, 1)).astype(np.float32)
    assert tiny.same_bits(told(CART, actions), told(pruned(CART), actions))


def test_a_print_in_a_users_step_still_comes():
    heard = []

    def loud(cart, action):
        jax.debug.callback(lambda seen: heard.append(int(seen)), cart.seen)
        return step(cart, action)

    simulator = pruned(CART._replace(step=loud))
    state, _ = simulator.reset(jax.random.key(0), jnp.int32(5))
    assert paths(state) == READ | {".seen"}
    jax.jit(simulator.step)(state, jnp.zeros(1))
    jax.effects_barrier()
    assert heard == [5]


def test_the_kept_first_states_hold_no_more_than_that():
    env = episodes(CART, name="cart", num_envs=3, episode_length=5, reset_interval=5)
    state = env.reset(jax.random.key(0))
    assert paths(state.sim) == paths(env.refresh(state)[0]) == READ


def test_an_old_run_that_stored_whole_states_goes_on(tmp_path, monkeypatch):
    config = tiny.config(env="own/cart", num_envs=2, episode_length=16, reset_interval=8, steps=128)
    with monkeypatch.context() as older:
        older.setattr("softrl.envs.episodes.pruned", lambda simulator: simulator)
        old = softrl.train(config, env=CART, out=tmp_path, progress=False).state
    assert paths(old.env.bank[0]) > READ
    found = softrl.train(config, env=CART, out=tmp_path, progress=False).state
    assert paths(found.env.bank[0]) == READ
    assert tiny.same_bits(found.learner, old.learner) and tiny.same_bits(found.env.bank[1], old.env.bank[1])
    gone_on = softrl.train(softrl.change(config, steps=256), env=CART, out=tmp_path, progress=False)
    assert gone_on.metrics[-1]["env_steps"] == 256


@pytest.mark.slow
def test_of_a_robot_of_playground_a_step_reads_little():
    pytest.importorskip("mujoco_playground", reason="pip install 'softrl[playground]'")
    env = softrl.make_env(softrl.preset("playground/CheetahRun", num_envs=1).env)
    state = jax.eval_shape(env.reset, jax.random.key(0)).sim
    assert sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(state)) < 1_000
