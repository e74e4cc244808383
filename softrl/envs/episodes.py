"""Episodes on top of a bare simulator: time limits, automatic resets, staggered starts, quarantine.

Written here once because every upstream wrapper loses the true final observation and resets to a cached first state.
"""

from functools import partial

import jax
import jax.numpy as jnp

from softrl.envs import boxes
from softrl.envs.pruned import pruned
from softrl.types import Env, EnvSpec, EnvState, PyTree, Simulator, selectors


def episodes(
    simulator: Simulator,
    *,
    name: str,
    num_envs: int,
    episode_length: int,
    stagger: bool = True,
    reset_interval: int = 0,
) -> Env:
    """N copies of a simulator as an auto-resetting `Env`.

    Args:
      simulator: one environment's physics.
      num_envs: N.
      episode_length: L; step L of an episode that has not terminated is `truncated`.
      stagger: start the first episodes at steps spread over [0, L), so that they do not all truncate together.
      reset_interval: T. 0: a step in which any episode ends resets all N and takes what it needs; of members in one
        program each pays in every step. Otherwise N first states are kept and made anew every T steps by the clock,
        which members share: a step pays the T-th part of a reset. Only where two episodes of an environment end between
        two refreshes do they begin in the same state; else each begins as it would with 0.
    Returns:
      `Env`. Actions in (−1, 1) are mapped to the simulator's bounds, where it has any. Where an episode ends, `obs` is
      the fresh reset's and `final_obs` the true successor. A row with non-finite numbers is reset, `valid` is False,
      its reward 0 and its `final_obs` the last good observation.
    """
    simulator = pruned(simulator)
    shape = jax.eval_shape(lambda k: simulator.reset(k, jnp.int32(0))[1], jax.random.key(0))
    spec = EnvSpec(name, shape, simulator.action, num_envs, episode_length, **selectors(shape))
    reset = partial(_reset, simulator, spec, stagger, reset_interval > 0)
    return Env(spec, reset, partial(_step, simulator, spec), partial(_next, simulator, spec), reset_interval)


def _reset(simulator: Simulator, spec: EnvSpec, stagger: bool, bank: bool, key: jax.Array) -> EnvState:
    episode = jnp.zeros(spec.num_envs, jnp.uint32)
    sim, obs = fresh(simulator, spec.num_envs, key, episode)
    spread = jnp.asarray([n * spec.episode_length // spec.num_envs for n in range(spec.num_envs)], jnp.int32)
    steps = spread if stagger else jnp.zeros_like(spread)
    no = jnp.zeros(spec.num_envs, jnp.bool_)
    # What is in the bank until its first refresh: a second reset here would be a second program to compile.
    kept = (sim, obs) if bank else ()
    return EnvState(obs, jnp.zeros(spec.num_envs), no, no, obs, ~no, sim, key, episode, steps, kept)


def _next(simulator: Simulator, spec: EnvSpec, state: EnvState) -> PyTree:
    return fresh(simulator, spec.num_envs, state.key, state.episode + 1)


def _step(simulator: Simulator, spec: EnvSpec, state: EnvState, action: jax.Array) -> EnvState:
    sim, obs, reward, terminated = jax.vmap(simulator.step)(state.sim, boxes.own(simulator.action, action))
    valid = finite_rows((obs, reward), spec.num_envs)
    steps = state.steps + 1
    terminated = terminated & valid
    truncated = (steps >= spec.episode_length) & ~terminated & valid
    ended = terminated | truncated | ~valid
    final_obs = _select(valid, obs, state.obs)
    episode = state.episode + ended.astype(jnp.uint32)
    if state.bank:
        sim, obs = _select(ended, state.bank, (sim, obs))
    else:
        sim, obs = jax.lax.cond(
            jnp.any(ended),
            lambda: _select(ended, fresh(simulator, spec.num_envs, state.key, episode), (sim, obs)),
            lambda: (sim, obs),
        )
    reward, steps = jnp.where(valid, reward, 0.0), jnp.where(ended, 0, steps)
    return EnvState(obs, reward, terminated, truncated, final_obs, valid, sim, state.key, episode, steps, state.bank)


def fresh(simulator: Simulator, num_envs: int, key: jax.Array, episode: jax.Array) -> tuple[PyTree, PyTree]:
    """Random first states; environment n's episode e has the address (key, n, e)."""
    index = jnp.arange(num_envs)
    keys = jax.vmap(lambda n, e: jax.random.fold_in(jax.random.fold_in(key, n), e))(index, episode)
    return jax.vmap(simulator.reset)(keys, index)


def finite_rows(tree: PyTree, num_envs: int) -> jax.Array:
    """`[N]`: in which rows of `[N, ...]` leaves all numbers are finite."""
    finite = jnp.ones(num_envs, jnp.bool_)
    for leaf in jax.tree.leaves(tree):
        if jnp.issubdtype(leaf.dtype, jnp.inexact):
            finite &= jnp.all(jnp.isfinite(leaf).reshape(num_envs, -1), axis=1)
    return finite


def _select(mask: jax.Array, yes: PyTree, no: PyTree) -> PyTree:
    def pick(a, b):
        if jnp.issubdtype(a.dtype, jax.dtypes.prng_key):
            data = pick(jax.random.key_data(a), jax.random.key_data(b))
            return jax.random.wrap_key_data(data, impl=jax.random.key_impl(a))
        return jnp.where(mask.reshape(mask.shape + (1,) * (a.ndim - 1)), a, b)

    return jax.tree.map(pick, yes, no)
