"""Gymnasium's environments behind the `HostEnv` door. The only module that imports Gymnasium, when one is made.

Its vector environments reset in the same step and keep the true last observation, which is what learning needs.
"""

import contextlib
import importlib
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import jax
import numpy as np

from softrl.envs import mujoco_state
from softrl.envs.host import HostEnv, HostStep
from softrl.errors import ConfigError, suggestion
from softrl.types import EnvSpec, PyTree

KNOWN = (
    "Ant-v5",
    "HalfCheetah-v5",
    "Hopper-v5",
    "Humanoid-v5",
    "HumanoidStandup-v5",
    "InvertedDoublePendulum-v5",
    "InvertedPendulum-v5",
    "Pusher-v5",
    "Reacher-v5",
    "Swimmer-v5",
    "Walker2d-v5",
    "Pendulum-v1",
    "MountainCarContinuous-v0",
)
"""What `softrl envs` lists; any registered environment with continuous actions will do."""

VECTORIZATION = ("sync", "async")
"""All environments in this process, or each in a process of its own."""


def library() -> Any:
    """Gymnasium itself.

    Raises: ConfigError where it is not installed.
    """
    try:
        return importlib.import_module("gymnasium")
    except ImportError:
        raise ConfigError("gym/ environments need Gymnasium: pip install 'softrl[gym]'") from None


def time_limit(name: str) -> int | None:
    """The time limit that an environment is registered with, in its steps; None where it has none.

    Raises: ConfigError for an unknown name, with the nearest known one.
    """
    gymnasium = library()
    try:
        with _quiet():
            return gymnasium.spec(name).max_episode_steps
    except (gymnasium.error.Error, ImportError) as error:
        raise ConfigError(f"unknown Gymnasium environment {name!r}{suggestion(name, KNOWN)} ({error})") from None


@dataclass
class Held:
    """N environments while they are open, and how to open them. name, num_envs, limit, vectorization: as asked for.

    env: Gymnasium's vector environment, None while closed. obs: the spaces' shapes. low, high: `[A]` action bounds.
    """

    name: str
    num_envs: int
    limit: int
    vectorization: str
    env: Any = None
    obs: PyTree = None
    low: np.ndarray = field(default_factory=lambda: np.zeros(0))
    high: np.ndarray = field(default_factory=lambda: np.zeros(0))
    last: PyTree = None


def gymnasium_env(name: str, *, num_envs: int, episode_length: int, vectorization: str = "sync") -> HostEnv:
    """N copies of a registered environment.

    Args:
      name: its id, for example `HalfCheetah-v5`; `package:Id-v0` imports the package first.
      episode_length: time limit L, in place of the registered one.
      vectorization: one of `VECTORIZATION`.
    Returns:
      `HostEnv`. Actions in [−1, 1] are mapped to the environment's bounds, observations in float64 are given in
      float32. Gymnasium's own MuJoCo robots can be snapshot (`sync` only).
    Raises:
      ConfigError: unknown name, actions that are not a bounded row of numbers, observations without a fixed shape.
    """
    if vectorization not in VECTORIZATION:
        raise ConfigError(f"backend of gym/{name} must be one of {', '.join(VECTORIZATION)}, got {vectorization!r}")
    time_limit(name)
    held = Held(name, num_envs, episode_length, vectorization)
    with _quiet():
        single = _made(held, library().make, max_episode_steps=episode_length)
    try:
        _describe(held, single.observation_space, single.action_space)
        single.reset(seed=0)
        size = num_envs * mujoco_state.size(single) if vectorization == "sync" else 0
    finally:
        single.close()
    bounds = {"action_low": tuple(held.low.tolist()), "action_high": tuple(held.high.tolist())}
    spec = EnvSpec(f"gym/{name}", held.obs, len(held.low), num_envs, episode_length, **bounds)
    return HostEnv(
        spec=spec,
        reset=partial(_reset, held),
        step=partial(_step, held),
        snapshot=partial(_snapshot, held, size),
        restore=partial(_restore, held),
        snapshot_size=size,
        close=partial(_close, held),
    )


def _describe(held: Held, observation: Any, action: Any) -> None:
    held.obs = _shapes(held.name, observation)
    low, high = getattr(action, "low", None), getattr(action, "high", None)
    if low is None or np.ndim(low) != 1 or not (np.all(np.isfinite(low)) and np.all(np.isfinite(high))):
        raise ConfigError(
            f"gym/{held.name}: soft actor-critic needs one row of bounded continuous actions, got {action}"
        )
    held.low, held.high = low.astype(np.float32), high.astype(np.float32)


def _shapes(name: str, space: Any) -> PyTree:
    if hasattr(space, "spaces") and isinstance(space.spaces, Mapping):
        return {key: _shapes(name, part) for key, part in space.spaces.items()}
    if not hasattr(space, "low"):
        raise ConfigError(f"gym/{name}: observations must be a Box or a Dict of them, got {space}")
    return jax.ShapeDtypeStruct(space.shape, np.float32 if space.dtype == np.float64 else space.dtype)


def _made(held: Held, make: Any, **options: Any) -> Any:
    try:
        return make(held.name, **options)
    except ImportError as error:
        raise ConfigError(f"gym/{held.name} cannot be made: {error}; pip install 'softrl[gym]'") from None


def _reset(held: Held, seed: int) -> PyTree:
    if held.env is None:
        gymnasium = library()
        kwargs = {"autoreset_mode": gymnasium.vector.AutoresetMode.SAME_STEP}
        with _quiet():
            make = partial(gymnasium.make_vec, num_envs=held.num_envs, vectorization_mode=held.vectorization)
            held.env = _made(held, make, vector_kwargs=kwargs, max_episode_steps=held.limit)
    with _quiet():
        obs, _ = held.env.reset(seed=seed)
    held.last = _cast(held.obs, obs)
    return held.last


def _step(held: Held, action: np.ndarray) -> HostStep:
    scaled = held.low + 0.5 * (np.clip(action, -1.0, 1.0) + 1.0) * (held.high - held.low)
    obs, reward, terminated, truncated, info = held.env.step(scaled.astype(held.low.dtype))
    obs = _cast(held.obs, obs)
    final = obs
    if "final_obs" in info:
        final = _merged(held.obs, obs, info["final_obs"], info["_final_obs"])
    valid = _finite(final, reward, held.num_envs)
    terminated, truncated = terminated & valid, truncated & ~terminated & valid
    reward = np.where(valid, reward, 0.0).astype(np.float32)
    if not valid.all():
        obs, final = _quarantined(held, obs, final, valid)
    held.last = obs
    return HostStep(obs, reward, terminated, truncated, final, valid)


def _cast(shapes: PyTree, obs: PyTree) -> PyTree:
    # A copy: Gymnasium may hand out the same memory at every step.
    return jax.tree.map(lambda s, x: np.array(x, s.dtype), shapes, obs)


def _merged(shapes: PyTree, obs: PyTree, finals: Any, ended: np.ndarray) -> PyTree:
    """The fresh observations, with those that ended an episode in place of the first ones of the next."""
    final = jax.tree.map(np.copy, obs)
    for n in np.flatnonzero(ended):
        last = finals[n] if isinstance(finals, np.ndarray) else jax.tree.map(lambda x, n=n: x[n], finals)
        for row, value in zip(jax.tree.leaves(final), jax.tree.leaves(_cast(shapes, last)), strict=True):
            row[n] = value
    return final


def _finite(obs: PyTree, reward: np.ndarray, num_envs: int) -> np.ndarray:
    valid = np.isfinite(reward)
    for leaf in jax.tree.leaves(obs):
        if leaf.dtype.kind == "f":
            valid = valid & np.isfinite(leaf).reshape(num_envs, -1).all(axis=1)
    return valid


def _quarantined(held: Held, obs: PyTree, final: PyTree, valid: np.ndarray) -> tuple[PyTree, PyTree]:
    """Bad rows: their environments start a new episode, and their successor is the last good observation."""
    if held.vectorization != "sync":
        raise ConfigError(f"gym/{held.name} gave non-finite numbers; with backend sync its environment would be reset")
    for n in np.flatnonzero(~valid):
        fresh, _ = held.env.envs[n].reset()
        for row, value in zip(jax.tree.leaves(obs), jax.tree.leaves(_cast(held.obs, fresh)), strict=True):
            row[n] = value
        for row, value in zip(jax.tree.leaves(final), jax.tree.leaves(held.last), strict=True):
            row[n] = value[n]
    return obs, final


def _snapshot(held: Held, size: int) -> np.ndarray:
    if not size:
        return np.zeros(0, np.uint8)
    return np.concatenate([mujoco_state.read(env) for env in held.env.envs])


def _restore(held: Held, snapshot: np.ndarray) -> None:
    parts = np.split(np.asarray(snapshot, np.uint8), held.num_envs)
    _reset(held, 0)
    for env, part in zip(held.env.envs, parts, strict=True):
        mujoco_state.write(env, part)


def _close(held: Held) -> None:
    env, held.env = held.env, None
    if env is not None:
        env.close()


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keeps advertisements, deprecations of registered versions and MuJoCo's MUJOCO_LOG.TXT from the user."""
    with warnings.catch_warnings(), contextlib.ExitStack() as stack:
        warnings.simplefilter("ignore")
        with contextlib.suppress(ImportError):
            import mujoco

            mujoco.set_mju_user_warning(lambda message: None)
            stack.callback(mujoco.set_mju_user_warning, None)
        yield
