"""What a network sees of an observation: a part of a dictionary, joined into one vector."""

import math
from typing import Any

import jax
import jax.numpy as jnp

from softrl.errors import ExportError
from softrl.numpy_policy import Input
from softrl.types import EnvSpec, PyTree, Spec


def joined(obs: PyTree, part: str | None) -> jax.Array:
    """The `part` of a dictionary observation (None: all of it) as `[B, O]`; leaves are `[B, ...]`."""
    leaves = jax.tree.leaves(_part(obs, part))
    return jnp.concatenate([leaf.reshape(leaf.shape[0], -1) for leaf in leaves], axis=-1)


def size(obs: PyTree, part: str | None) -> int:
    """O of `joined`, from one environment's shapes."""
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(_part(obs, part)))


def inputs(obs: PyTree, part: str | None) -> tuple[Input, ...]:
    """What `joined` joins and in which order, by its place in an observation, for those who join without JAX.

    Raises: ExportError for observations that are more than arrays in dictionaries and tuples, or two of one name.
    """
    first = () if part is None else (part,)
    leaves = jax.tree_util.tree_flatten_with_path(_part(obs, part))[0]
    found = tuple(Input((*first, *map(_key, path)), tuple(leaf.shape)) for path, leaf in leaves)
    if len({entry.name for entry in found}) < len(found):
        raise ExportError(f"two observations have one name: {', '.join(entry.name for entry in found)}")
    return found


def whole(spec: Spec | EnvSpec, obs: PyTree) -> PyTree:
    """A whole batch of observations from the part that the actor sees; zeros in the other entries."""
    if spec.actor_obs is None:
        return obs
    rows = jax.tree.leaves(obs)[0].shape[0]
    blank = jax.tree.map(lambda leaf: jnp.zeros((rows, *leaf.shape)), spec.obs)
    return {**blank, spec.actor_obs: obs[spec.actor_obs]}


def _part(obs: PyTree, part: str | None) -> PyTree:
    return obs if part is None else obs[part]


def _key(entry: Any) -> str | int:
    key = getattr(entry, "key", getattr(entry, "idx", None))
    if not isinstance(key, str | int):
        raise ExportError(f"observations must be arrays, or dictionaries or tuples of arrays; got one at {entry}")
    return key
