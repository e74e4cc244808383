"""Time-major replay `[T, N, ...]` for environments on the device: every observation is stored once.

The successor of row t is row t + 1, except where an episode was truncated; those true final observations live in a
side table. An environment truncates at most once in any L = `episode_length` steps, so slot `((t // L) mod S, n)` with
`S = ⌈(T + L − 1) / L⌉` needs no pointer. Where environments truncate by a rule of their own L is 1: a slot a row.
"""

import math
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp

from softrl.clock import Counter
from softrl.replay.recency import SamplingHypers, draw_age, finer
from softrl.types import Batch, EnvSpec, PyTree, Replay, Transition, Window


class TimeMajorState(NamedTuple):
    """The ring, T rows of N environments.

    obs: `[T, N, ...]`. action: `[T, N, A]`. reward: `[T, N]`. terminated, truncated, valid: `[T, N]` bool.
    final_obs: `[S, N, ...]` true successors of truncated rows.
    """

    obs: PyTree
    action: jax.Array
    reward: jax.Array
    terminated: jax.Array
    truncated: jax.Array
    valid: jax.Array
    final_obs: PyTree


def time_major(spec: EnvSpec, *, capacity: int, batch_size: int, n_step: int = 1, shards: int = 1) -> Replay:
    """A replay of the last `capacity` transitions, rounded up to whole rows of N.

    Args:
      capacity: transitions kept, at least (n_step + 1) · N.
      batch_size: B, a multiple of `shards`.
      n_step: longest window; it ends early at the end of an episode. Batches carry windows of more than one step.
      shards: the batch is stratified over this many equal slices of the N environments, whatever the device count,
        so that draws do not depend on the machine.
    Returns:
      `Replay`; `sample` draws valid starts uniformly or by age (`recency_horizon`, in transitions).
    """
    rows = max(math.ceil(capacity / spec.num_envs), n_step + 1)
    length = 1 if spec.own_truncation else spec.episode_length
    blocks = math.ceil((rows + length - 1) / length)
    layout = TimeMajorLayout(spec, rows, length, blocks, batch_size, n_step, shards)
    return Replay(
        init=partial(_init, layout),
        add=partial(_add, layout),
        sample=partial(_sample, layout),
        feedback=lambda state, index, td_error: state,
        least=n_step + 1,
        sever=partial(_sever, layout),
    )


class TimeMajorLayout(NamedTuple):
    """The static numbers of a ring: T `rows`; L, the `length` of a block; S `blocks` of the side table."""

    spec: EnvSpec
    rows: int
    length: int
    blocks: int
    batch_size: int
    n_step: int
    shards: int


def _init(layout: TimeMajorLayout) -> TimeMajorState:
    spec, num_envs = layout.spec, layout.spec.num_envs

    def table(height: int) -> PyTree:
        return jax.tree.map(lambda o: jnp.zeros((height, num_envs, *o.shape), o.dtype), spec.obs)

    flags = (jnp.zeros((layout.rows, num_envs), jnp.bool_) for _ in range(3))
    return TimeMajorState(
        table(layout.rows),
        jnp.zeros((layout.rows, num_envs, *spec.action.shape), spec.action.dtype),
        jnp.zeros((layout.rows, num_envs)),
        *flags,
        table(layout.blocks),
    )


def _add(layout: TimeMajorLayout, state: TimeMajorState, step: Counter, transition: Transition) -> TimeMajorState:
    length = layout.length
    row, block = step.mod(layout.rows), step.mod(layout.blocks * length) // length
    truncated = transition.truncated & ~transition.terminated & transition.valid
    finals = jax.tree.map(
        lambda table, final: _write(table, block, jnp.where(_like(truncated, final), final, table[block])),
        state.final_obs,
        transition.next_obs,
    )
    t = transition
    new = TimeMajorState(t.obs, t.action, t.reward, t.terminated, truncated, t.valid, ())
    ring = jax.tree.map(lambda table, value: _write(table, row, value), state._replace(final_obs=()), new)
    return ring._replace(final_obs=finals)


def _sever(layout: TimeMajorLayout, state: TimeMajorState, step: Counter) -> TimeMajorState:
    return state._replace(valid=state.valid.at[step.minus(1).mod(layout.rows)].set(False))


def _sample(
    layout: TimeMajorLayout, state: TimeMajorState, step: Counter, key: jax.Array, hypers: SamplingHypers
) -> Batch:
    # Without the barrier XLA writes the newest row once for its readers and once for the result: two copies of replay.
    state = jax.lax.optimization_barrier(state)
    spec, rows, shards = layout.spec, layout.rows, layout.shards
    columns, span = spec.num_envs // shards, layout.blocks * layout.length
    draws = (shards, layout.batch_size // shards)
    newest = step.minus(1)
    # Starts are n_step rows behind the newest, whose successor has not been stored yet.
    starts = jnp.maximum(step.capped(rows) - layout.n_step, 1)
    # One draw for both: every call of the generator is a loop of its own on a CPU.
    when, where = jax.random.uniform(key, (2, *draws))
    age = draw_age(when, starts, hypers.replay.recency_horizon / spec.num_envs, hypers.replay.recency_floor)
    age = layout.n_step + finer(jax.random.fold_in(key, 1), age, starts, rows)
    column = (where * columns).astype(jnp.int32)
    row, block = (newest.mod(rows) - age) % rows, (newest.mod(span) - age) % span
    sharded = jax.tree.map(lambda x: x.reshape(x.shape[0], shards, columns, *x.shape[2:]), state)
    batch = jax.vmap(_windowed, in_axes=(1, 0, 0, 0, None, None))(
        sharded, row, block, column, layout, hypers.agent.gamma
    )
    index = row * spec.num_envs + jnp.arange(shards)[:, None] * columns + column
    return jax.tree.map(lambda x: x.reshape(layout.batch_size, *x.shape[2:]), batch._replace(index=index))


def _windowed(state: TimeMajorState, row, block, column, layout: TimeMajorLayout, gamma) -> Batch:
    """The one place that builds a learner's rows: windows of up to `n_step` transitions from `(row, column)`.

    reward = Σ_{i<m} γⁱ rᵢ, discount = γᵐ (1 − terminated), next_obs the true one m steps later; γ enters here only.
    """
    rows, blocks, length = layout.rows, layout.blocks, layout.length
    reward, discount = jnp.zeros(row.shape), jnp.ones(row.shape)
    weight, going = jnp.ones(row.shape, jnp.bool_), jnp.ones(row.shape, jnp.bool_)
    span = jnp.zeros(row.shape, jnp.int32)
    truncated = jnp.zeros(row.shape, jnp.bool_)
    discounts = []
    for i in range(layout.n_step):
        at = ((row + i) % rows, column)
        reward += jnp.where(going, discount * state.reward[at], 0.0)
        weight &= ~going | state.valid[at]
        discounts.append(jnp.where(going, discount, 0.0))
        ended, cut = state.terminated[at], state.truncated[at]
        truncated |= going & cut
        discount = jnp.where(going, jnp.where(ended, 0.0, discount * gamma), discount)
        span += going
        going &= ~(ended | cut | ~state.valid[at])
    last_block = ((block + span - 1) % (blocks * length)) // length
    next_obs = jax.tree.map(
        lambda table, finals: jnp.where(
            _like(truncated, table[0]), finals[last_block, column], table[(row + span) % rows, column]
        ),
        state.obs,
        state.final_obs,
    )
    obs = jax.tree.map(lambda table: table[row, column], state.obs)
    window = _steps(state, row, column, jnp.stack(discounts, -1)) if layout.n_step > 1 else ()
    weight = weight.astype(jnp.float32)
    return Batch(obs, state.action[row, column], reward, discount, next_obs, weight, jnp.zeros_like(row), window)


def _steps(state: TimeMajorState, row, column, discount) -> Window:
    """The observations and actions of whole windows; what lies beyond a window's end has discount 0."""
    rows = (row[:, None] + jnp.arange(discount.shape[-1])[None]) % state.reward.shape[0]
    obs, action = jax.tree.map(lambda table: table[rows, column[:, None]], (state.obs, state.action))
    return Window(obs, action, discount)


def _write(table: jax.Array, index: jax.Array, value: jax.Array) -> jax.Array:
    return jax.lax.dynamic_update_index_in_dim(table, value.astype(table.dtype), index, 0)


def _like(mask: jax.Array, x: jax.Array) -> jax.Array:
    return mask.reshape(mask.shape + (1,) * (x.ndim - mask.ndim))
