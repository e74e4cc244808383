"""One Gymnasium environment tried before anything is compiled: whether it keeps to the API and to its own spaces."""

import inspect
import math
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from softrl.envs import boxes
from softrl.envs.boxes import Boxes
from softrl.errors import ConfigError

_TODAY = (
    "softrl takes Gymnasium's API of today: reset(*, seed=None, options=None) -> (obs, info), step(action) -> (obs, "
    "reward, terminated, truncated, info)"
)


def tried(name: str, env: Any, its: Boxes) -> bool:
    """Resets and steps an environment once. Args: `name`: for errors; `env`: a Gymnasium environment of spaces `its`.

    Returns: whether its rewards are numbers already, and no arrays of one.
    Raises: ConfigError: an old API, or what is not in its spaces. Its own errors are its own, with their traceback.
    """
    _require_today(name, _users(env))
    obs, _ = env.reset(seed=0)
    _require_in_space(name, "reset", its, obs, env.observation_space)
    obs, reward, *_ = env.step(boxes.given(its, np.zeros((1, *its.action.shape), its.action.dtype))[0])
    _require_in_space(name, "step", its, obs, env.observation_space)
    if not _is_number(reward):
        raise ConfigError(f"{name}: the reward of a step must be one finite number, got {reward!r}")
    return np.ndim(reward) == 0


def number(reward: Any) -> float:
    """A reward that is an array of one number as that number."""
    return np.asarray(reward, np.float64).item()  # of None NaN


def _is_number(reward: Any) -> bool:
    try:
        return np.size(reward) == 1 and math.isfinite(number(reward))
    except (TypeError, ValueError):
        return False


def _users(env: Any) -> Any:
    """The outermost layer that is not Gymnasium's own: its wrappers say nothing clear of an old API inside."""
    while env is not env.unwrapped and type(env).__module__.startswith("gymnasium.wrappers."):
        env = env.env
    return env


def _require_today(name: str, env: Any) -> None:
    known = inspect.signature(env.reset).parameters.values()
    if not any(p.name == "seed" or p.kind is p.VAR_KEYWORD for p in known):
        raise ConfigError(f"{name}: its reset takes no seed; {_TODAY}")
    first = env.reset(seed=0)
    if not (isinstance(first, tuple) and len(first) == 2 and isinstance(first[1], Mapping)):
        raise ConfigError(f"{name}: its reset gives no (obs, info); {_TODAY}")
    space = env.action_space
    box = hasattr(space, "low")
    after = env.step(np.clip(np.zeros(space.shape, space.dtype), space.low, space.high) if box else space.sample())
    if not (isinstance(after, tuple) and len(after) == 5):
        given = f"{len(after)} values" if isinstance(after, tuple) else f"a {type(after).__name__}"
        raise ConfigError(f"{name}: its step gives {given}; {_TODAY}")


def _require_in_space(name: str, call: str, its: Boxes, obs: Any, space: Any) -> None:
    try:
        seen = jax.tree.leaves(boxes.cast(its, obs))
        fits = [leaf.shape for leaf in seen] == [leaf.shape for leaf in jax.tree.leaves(its.obs)]
    except (KeyError, TypeError, ValueError):
        fits = False
    if not fits:
        raise ConfigError(f"{name}: {call} gives an observation that is none of {space}: {repr(obs)[:200]}")
    if not all(np.isfinite(leaf).all() for leaf in seen):
        raise ConfigError(f"{name}: {call} gives an observation that is not finite: {repr(obs)[:200]}")
