"""Gymnasium's spaces and arrays as softrl's: shapes, action bounds, observations, rows that hold no numbers."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

from softrl.errors import ConfigError
from softrl.types import Continuous, EnvSpec, PyTree


class Boxes(NamedTuple):
    """What an environment takes and gives. obs: shapes of one observation. low, high: `[A]` action bounds, float32."""

    obs: PyTree
    low: np.ndarray
    high: np.ndarray


def boxes(env: str, observation: Any, action: Any) -> Boxes:
    """The spaces of one environment. Args: `env`: its name, for errors.

    Raises: ConfigError: actions that are not a bounded row of numbers, observations without a fixed shape.
    """
    return Boxes(_shapes(env, observation), *bounds(env, action))


def bounds(env: str, action: Any) -> tuple[np.ndarray, np.ndarray]:
    """Action bounds `[A]`, float32. Raises: ConfigError: actions that are not a bounded row of numbers."""
    low, high = getattr(action, "low", None), getattr(action, "high", None)
    if low is None or np.ndim(low) != 1 or not (np.all(np.isfinite(low)) and np.all(np.isfinite(high))):
        raise ConfigError(f"{env}: soft actor-critic needs one row of bounded continuous actions, got {action}")
    return low.astype(np.float32), high.astype(np.float32)


def _shapes(env: str, space: Any) -> PyTree:
    if hasattr(space, "spaces") and isinstance(space.spaces, Mapping):
        return {key: _shapes(env, part) for key, part in space.spaces.items()}
    if not hasattr(space, "low"):
        raise ConfigError(f"{env}: observations must be a Box or a Dict of them, got {space}")
    return jax.ShapeDtypeStruct(space.shape, np.float32 if space.dtype == np.float64 else space.dtype)


def spec(boxes: Boxes, env: str, num_envs: int, episode_length: int) -> EnvSpec:
    """The spec of `num_envs` such environments."""
    action = Continuous(len(boxes.low), tuple(boxes.low.tolist()), tuple(boxes.high.tolist()))
    return EnvSpec(env, boxes.obs, action, num_envs, episode_length)


def scaled(low: np.ndarray, high: np.ndarray, action: np.ndarray) -> np.ndarray:
    """Actions in [−1, 1] (clipped) within the bounds `[A]`, float32."""
    unit = 0.5 * (np.clip(action, -1.0, 1.0) + 1.0)
    return (low + unit * (high - low)).astype(np.float32)


def cast(boxes: Boxes, obs: PyTree) -> PyTree:
    """Observations in softrl's dtypes; a copy, since simulators may hand out the same memory at every step."""
    return jax.tree.map(lambda shape, x: np.array(x, shape.dtype), boxes.obs, obs)


def put(into: PyTree, row: int, obs: PyTree, at: int | None = None) -> None:
    """Writes one observation (row `at` of `obs`, if given) over a row of `[N, ...]` arrays."""
    for table, value in zip(jax.tree.leaves(into), jax.tree.leaves(obs), strict=True):
        table[row] = value if at is None else value[at]


def finite(obs: PyTree, reward: np.ndarray) -> np.ndarray:
    """`[N]`: which rows hold only finite numbers."""
    valid = np.isfinite(reward)
    for leaf in jax.tree.leaves(obs):
        if leaf.dtype.kind == "f":
            valid = valid & np.isfinite(leaf).reshape(len(reward), -1).all(axis=1)
    return valid
