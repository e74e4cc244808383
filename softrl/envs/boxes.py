"""Gymnasium's spaces and arrays as softrl's: shapes, actions, observations, rows that hold no numbers."""

import math
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

from softrl.errors import ConfigError
from softrl.types import Action, Continuous, Discrete, EnvSpec, PyTree, selectors

LARGEST_BOUND = 1e6
"""Of an action. Beyond it bounds are a way to say "any number", within which a policy on (−1, 1) can aim at nothing."""


class Boxes(NamedTuple):
    """What an environment takes and gives.

    obs: shapes of one observation; `starts`: for each of its leaves None, or of one that is one of n the first value.
    action: as softrl has it. shape, dtype: of one action of the environment itself. start: its first discrete action.
    """

    obs: PyTree
    starts: tuple[int | None, ...]
    action: Action
    shape: tuple[int, ...]
    dtype: np.dtype
    start: int = 0


def boxes(env: str, observation: Any, action: Any) -> Boxes:
    """The spaces of one environment. Args: `env`: its name, for errors.

    Raises: ConfigError: actions that are neither bounded numbers nor one of n, observations without a fixed shape.
    """
    starts: list[int | None] = []
    obs = _observed(env, observation, starts)
    require_own_names(env, obs)
    kind = acted(env, action)
    start = int(getattr(action, "start", 0))
    return Boxes(obs, tuple(starts), kind, tuple(action.shape), np.dtype(action.dtype), start)


def acted(env: str, space: Any) -> Action:
    """Actions as softrl has them; those of a `Box` in one row, whatever its shape.

    Raises: ConfigError: actions that are neither bounded numbers nor one of n.
    """
    if isinstance(space, Continuous | Discrete):
        return space
    if hasattr(space, "n") and getattr(space, "shape", None) == () and not hasattr(space, "low"):
        return Discrete(int(space.n))
    if not hasattr(space, "low") or np.dtype(space.dtype).kind != "f" or math.prod(space.shape) == 0:
        raise ConfigError(
            f"{env}: softrl takes actions that are bounded floating-point numbers (Box) or one of n (Discrete); got "
            f"{space}: wrap the environment in one of the two"
        )
    low, high = (np.broadcast_to(bound, space.shape).ravel() for bound in (space.low, space.high))
    require_bounds(env, low, high, space)
    return Continuous(low.size, *(tuple(np.float32(bound).tolist()) for bound in (low, high)))


def require_sound(what: str, kind: Any) -> None:
    """Raises: ConfigError for actions that cannot be. Args: `what`: for the error."""
    if not isinstance(kind, Continuous | Discrete):
        raise ConfigError(
            f"{what}: action must be softrl.Continuous(size, low, high) or softrl.Discrete(n), got {kind!r}"
        )
    count = kind.n if isinstance(kind, Discrete) else kind.size
    if isinstance(count, bool) or not isinstance(count, int | np.integer) or count < 1:
        raise ConfigError(f"{what}: an action is a row of A ≥ 1 numbers or one of n ≥ 1, got {kind}")
    if isinstance(kind, Discrete) or (kind.low is None and kind.high is None):
        return
    if any(np.shape(bound) != (count,) for bound in (kind.low, kind.high)):
        raise ConfigError(f"{what}: action needs as many finite low and high as it has numbers, got {kind}")
    require_bounds(what, np.asarray(kind.low), np.asarray(kind.high), kind)


def require_bounds(env: str, low: Any, high: Any, space: Any) -> None:
    """Raises: ConfigError for bounds of actions that say nothing. Args: `env`, `space`: for the error."""
    if not (np.all(np.abs(low) <= LARGEST_BOUND) and np.all(np.abs(high) <= LARGEST_BOUND) and np.all(low <= high)):
        raise ConfigError(
            f"{env}: softrl scales continuous actions to their bounds, numbers within ±{LARGEST_BOUND:g}, low ≤ high; "
            f"got {space}: give it narrower ones"
        )


def require_own_names(what: str, obs: PyTree) -> None:
    """Raises: ConfigError where two entries of an observation have one flat name. Args: `what`: for the error."""
    leaves = jax.tree_util.tree_flatten_with_path(obs)[0]
    names = [jax.tree_util.keystr(path, simple=True, separator="/") for path, _ in leaves]
    if twice := {name for name in names if names.count(name) > 1}:
        raise ConfigError(f"{what}: two entries of the observation have the name {twice.pop()!r}: rename one")


def _observed(env: str, space: Any, starts: list[int | None]) -> PyTree:
    parts = getattr(space, "spaces", None)
    if isinstance(parts, Mapping):  # in the order in which JAX goes through a dictionary
        return {key: _observed(env, parts[key], starts) for key in sorted(parts)}
    if isinstance(parts, tuple):
        return tuple(_observed(env, part, starts) for part in parts)
    if hasattr(space, "n") and space.shape == () and not hasattr(space, "low"):
        starts.append(int(getattr(space, "start", 0)))
        return jax.ShapeDtypeStruct((int(space.n),), np.dtype(np.float32))
    if not hasattr(space, "low") or math.prod(space.shape) == 0:
        raise ConfigError(
            f"{env}: observations must be a Box, a Discrete, or a Dict or Tuple of them, got {space}: flatten it, for "
            "example with gymnasium.wrappers.FlattenObservation"
        )
    starts.append(None)
    narrow = space.dtype in (np.float32, np.int32) or (space.dtype.kind in "iub" and space.dtype.itemsize < 4)
    return jax.ShapeDtypeStruct(tuple(space.shape), space.dtype if narrow else np.dtype(np.float32))


def spec(boxes: Boxes, env: str, num_envs: int, episode_length: int, *, own_truncation: bool) -> EnvSpec:
    """The spec of `num_envs` such environments."""
    more = selectors(boxes.obs) | {"own_truncation": own_truncation}
    return EnvSpec(env, boxes.obs, boxes.action, num_envs, episode_length, **more)


def given(boxes: Boxes, action: np.ndarray) -> np.ndarray:
    """An agent's actions `[N, ...]` as the environment takes them: within its bounds, in its shape."""
    if isinstance(boxes.action, Discrete):
        return action.astype(boxes.dtype) + boxes.dtype.type(boxes.start)
    return own(boxes.action, action).reshape(len(action), *boxes.shape)


def own(kind: Action, action: Any) -> Any:
    """An agent's actions `[N, A]` in [−1, 1] (clipped), of NumPy or JAX, within the robot's own bounds; one of n as it
    is."""
    if isinstance(kind, Discrete) or kind.low is None:
        return action
    low, high = np.float32(kind.low)[None], np.float32(kind.high)[None]
    return (low + 0.5 * (action.clip(-1.0, 1.0) + 1.0) * (high - low)).astype(np.float32)


def cast(boxes: Boxes, obs: PyTree) -> PyTree:
    """Observations, one or `[N, ...]`, in softrl's dtypes, one of n as `[n]` zeros and a one.

    Any mapping will do for a dictionary, any sequence for a tuple or an array. A copy, since simulators may hand out
    the same memory at every step.
    """
    return _cast(boxes.obs, iter(boxes.starts), obs)


def _cast(shape: PyTree, starts: Iterator[int | None], value: Any) -> PyTree:
    if isinstance(shape, dict):
        return {name: _cast(part, starts, value[name]) for name, part in shape.items()}
    if isinstance(shape, tuple):
        return tuple(_cast(part, starts, entry) for part, entry in zip(shape, value, strict=True))
    start = next(starts)
    if start is None:
        with np.errstate(over="ignore"):  # infinite from here on, and told as such
            return np.array(value, shape.dtype)
    return (np.asarray(value)[..., None] == start + np.arange(shape.shape[0])).astype(shape.dtype)


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
