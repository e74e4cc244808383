"""Flat replay `[C, ...]` for hosts that push single transitions from anywhere, each with its own successor.

Nothing is assumed about the order of rows, so an actor may stop, start again or be one of many.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp

from softrl.clock import Counter
from softrl.replay import priorities
from softrl.replay.priorities import SumTree
from softrl.replay.recency import SamplingHypers, draw_age, finer
from softrl.types import Batch, PyTree, Replay, Spec, Transition


class FlatState(NamedTuple):
    """The ring, C rows. obs, next_obs: `[C, ...]`. action: `[C, A]`. reward: `[C]`. terminated: `[C]` bool.

    priorities: a `SumTree`, `()` where sampling is uniform or by age.
    """

    obs: PyTree
    action: jax.Array
    reward: jax.Array
    terminated: jax.Array
    next_obs: PyTree
    priorities: SumTree | tuple[()]


class FlatLayout(NamedTuple):
    """The static numbers of a ring."""

    spec: Spec
    capacity: int
    batch_size: int
    priority_exponent: float
    importance_exponent: float


def flat(
    spec: Spec, *, capacity: int, batch_size: int, priority_exponent: float = 0.0, importance_exponent: float = 0.4
) -> Replay:
    """A replay of the last `capacity` transitions.

    Args:
      spec: of observations and actions.
      capacity: C, rows kept, at least 1.
      batch_size: B.
      priority_exponent: a > 0 draws rows in proportion to (|TD error| + 10⁻³)ᵃ, new ones with the greatest so far;
        0 draws uniformly or by age (`recency_horizon`).
      importance_exponent: b; with priorities a row's weight is (C′ P(row))⁻ᵇ, divided by the batch's largest.
    Returns:
      `Replay` whose `step` counts rows, not vector steps: `add` stores the rows of a `[W, ...]` transition that are
      `valid`, one after the other from row `step` on, and drops the others; the caller moves `step` by their number.
      `sample` of an empty ring has weight 0.
    Source: Schaul et al. 2016, arXiv:1511.05952 (priorities).
    """
    layout = FlatLayout(spec, capacity, batch_size, priority_exponent, importance_exponent)
    return Replay(
        init=partial(_init, layout),
        add=partial(_add, layout),
        sample=partial(_sample, layout),
        feedback=partial(_feedback, layout),
    )


def _init(layout: FlatLayout) -> FlatState:
    rows, spec = layout.capacity, layout.spec

    def table() -> PyTree:
        return jax.tree.map(lambda o: jnp.zeros((rows, *o.shape), o.dtype), spec.obs)

    tree = priorities.init(rows) if layout.priority_exponent else ()
    action = jnp.zeros((rows, *spec.action.shape), spec.action.dtype)
    return FlatState(table(), action, jnp.zeros(rows), jnp.zeros(rows, jnp.bool_), table(), tree)


def _add(layout: FlatLayout, state: FlatState, step: Counter, transition: Transition) -> FlatState:
    t, capacity = transition, layout.capacity
    order = jnp.cumsum(t.valid.astype(jnp.int32)) - 1
    # Of more rows than the ring has only the last count: two writes to one slot have no order.
    keep = t.valid & (order >= order[-1] + 1 - capacity)
    row = (step.mod(capacity) + order) % capacity
    slot = jnp.where(keep, row, capacity)  # beyond the end: dropped
    tree = state.priorities
    if layout.priority_exponent:
        tree = priorities.put(tree, row, jnp.broadcast_to(tree.largest, row.shape), keep)
    new = FlatState(t.obs, t.action, t.reward, t.terminated, t.next_obs, ())
    ring = jax.tree.map(
        lambda table, value: table.at[slot].set(value.astype(table.dtype), mode="drop"),
        state._replace(priorities=()),
        new,
    )
    return ring._replace(priorities=tree)


def _sample(layout: FlatLayout, state: FlatState, step: Counter, key: jax.Array, hypers: SamplingHypers) -> Batch:
    stored = step.capped(layout.capacity)
    uniform = jax.random.uniform(key, (layout.batch_size,))
    if layout.priority_exponent:
        row, chance = priorities.draw(state.priorities, uniform)
        # Draw i is of the i-th stratum; who takes a part of the batch (`mixed`) must not lose the others' strata.
        order = jax.random.permutation(jax.random.fold_in(key, 2), layout.batch_size)
        row, chance = row[order], chance[order]
        weight = (jnp.maximum(chance, 1e-30) * jnp.maximum(stored, 1)) ** -layout.importance_exponent
        weight = weight / jnp.max(weight)
    else:
        ages = jnp.maximum(stored, 1)
        age = draw_age(uniform, ages, hypers.replay.recency_horizon, hypers.replay.recency_floor)
        age = finer(jax.random.fold_in(key, 1), age, ages, layout.capacity)
        row = (step.minus(1).mod(layout.capacity) - age) % layout.capacity
        weight = jnp.ones(layout.batch_size)
    obs, next_obs = (jax.tree.map(lambda table: table[row], tree) for tree in (state.obs, state.next_obs))
    discount = jnp.where(state.terminated[row], 0.0, hypers.agent.gamma)
    weight = jnp.where(stored > 0, weight, 0.0)
    return Batch(obs, state.action[row], state.reward[row], discount, next_obs, weight, row)


def _feedback(layout: FlatLayout, state: FlatState, index: jax.Array, td_error: jax.Array) -> FlatState:
    """New priorities for the rows just learned from; indices outside the ring and non-finite errors change nothing."""
    if not layout.priority_exponent:
        return state
    priority = (jnp.abs(td_error) + 1e-3) ** layout.priority_exponent
    keep = (index >= 0) & (index < layout.capacity) & jnp.isfinite(priority)
    return state._replace(priorities=priorities.put(state.priorities, index, jnp.where(keep, priority, 0.0), keep))
