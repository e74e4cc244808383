"""A rollout `[T, N, ...]`: what N environments did in the newest T vector steps, for algorithms that learn from what
their newest policy did and forget it.

Every row has its own true successor, so nothing of the environments' ends must be found again.
"""

from functools import partial

import jax
import jax.numpy as jnp

from softrl.clock import Counter
from softrl.types import EnvSpec, PyTree, Replay, Transition


def rollout(spec: EnvSpec, *, horizon: int) -> Replay:
    """A replay of the newest T = `horizon` vector steps, after each T of which training learns.

    Returns: `Replay`; `sample` gives the whole rollout as a `Transition` `[T, N, ...]`, in the order in which it was
      made, without extras.
    """
    return Replay(
        init=partial(_init, spec, horizon),
        add=partial(_add, horizon),
        sample=lambda state, step, key, hypers: state,
        feedback=lambda state, index, td_error: state,
        horizon=horizon,
    )


def _init(spec: EnvSpec, horizon: int) -> Transition:
    def table(shape: tuple[int, ...] = (), dtype: str = "float32") -> jax.Array:
        return jnp.zeros((horizon, spec.num_envs, *shape), dtype)

    def observations() -> PyTree:
        return jax.tree.map(lambda leaf: table(leaf.shape, leaf.dtype), spec.obs)

    terminated, truncated, valid = (table(dtype="bool") for _ in range(3))
    action = table(spec.action.shape, spec.action.dtype)
    return Transition(observations(), action, table(), terminated, truncated, observations(), valid)


def _add(horizon: int, state: Transition, step: Counter, transition: Transition) -> Transition:
    row = step.mod(horizon)
    write = lambda table, new: jax.lax.dynamic_update_index_in_dim(table, new.astype(table.dtype), row, 0)
    return jax.tree.map(write, state, transition._replace(extras=()))
