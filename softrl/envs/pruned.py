"""Of a simulator's state no more than its next step reads, so that resets, copies and memory cost no more than that.

Simulators hand out all that they have computed: of the 89 arrays in the state of MuJoCo's cheetah 8 are read again.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.interpreters import partial_eval

from softrl.types import PyTree, Simulator


class Reading(NamedTuple):
    """leaves: `(shape and dtype, whether a step reads it)` of a whole state's. structure: its tree. Static."""

    leaves: tuple[tuple[Any, bool], ...]
    structure: Any


def pruned(simulator: Simulator) -> Simulator:
    """The same simulator, with None in its state for every leaf on which no observation, reward or end ever depends."""
    state, _ = jax.eval_shape(simulator.reset, jax.random.key(0), jnp.int32(0))
    leaves, structure = jax.tree.flatten(state)
    action = jax.ShapeDtypeStruct(simulator.action.shape, simulator.action.dtype)
    read = _read(jax.make_jaxpr(simulator.step)(state, action).jaxpr, len(leaves))
    reading = Reading(tuple(zip(leaves, read, strict=True)), structure)
    return Simulator(partial(_reset, reading, simulator), partial(_step, reading, simulator), simulator.action)


def _read(jaxpr: Any, count: int) -> list[bool]:
    """Which leaves of the state a step reads to any end. Args: `count`: of them, a step's first inputs and outputs.

    Those from which its other outputs are made, and, until no more come, those from which such leaves are made.
    """
    others = [True] * (len(jaxpr.outvars) - count)
    read = [False] * count
    while True:
        _, inputs = partial_eval.dce_jaxpr(jaxpr, [*read, *others])
        now = [one or other for one, other in zip(read, inputs[:count], strict=True)]
        if now == read:
            return read
        read = now


def _reset(reading: Reading, simulator: Simulator, key: jax.Array, index: jax.Array) -> tuple[PyTree, PyTree]:
    state, obs = simulator.reset(key, index)
    return _kept(reading, state), obs


def _step(
    reading: Reading, simulator: Simulator, state: PyTree, action: jax.Array
) -> tuple[PyTree, PyTree, jax.Array, jax.Array]:
    state, *told = simulator.step(_whole(reading, state), action)
    return _kept(reading, state), *told


def _kept(reading: Reading, state: PyTree) -> PyTree:
    pairs = zip(jax.tree.leaves(state), reading.leaves, strict=True)
    return jax.tree.unflatten(reading.structure, [leaf if read else None for leaf, (_, read) in pairs])


def _whole(reading: Reading, kept: PyTree) -> PyTree:
    there = iter(jax.tree.leaves(kept))
    leaves = [next(there) if read else _anything(leaf) for leaf, read in reading.leaves]
    return jax.tree.unflatten(reading.structure, leaves)


def _anything(leaf: Any) -> jax.Array:
    """In place of what nobody reads."""
    return jnp.zeros(leaf.shape, leaf.dtype)
