"""Gymnasium's environments behind the `HostEnv` door. The only module that imports Gymnasium, when one is made.

Its vector environments reset in the same step and keep the true last observation, which is what learning needs.
"""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np

from softrl.envs import boxes, mujoco_state
from softrl.envs.boxes import Boxes
from softrl.envs.host import HostEnv, HostStep
from softrl.envs.quiet import quiet
from softrl.errors import ConfigError, suggestion
from softrl.types import PyTree

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
        with quiet():
            return gymnasium.spec(name).max_episode_steps
    except (gymnasium.error.Error, ImportError) as error:
        raise ConfigError(f"unknown Gymnasium environment {name!r}{suggestion(name, KNOWN)} ({error})") from None


@dataclass
class Held:
    """N environments while they are open, and how to open them. name, num_envs, limit, vectorization: as asked for.

    env: Gymnasium's vector environment, None while closed. boxes: its spaces. last: the newest observations `[N, ...]`.
    """

    name: str
    num_envs: int
    limit: int
    vectorization: str
    env: Any = None
    boxes: Boxes | None = None
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
    with quiet():
        single = _made(held, library().make, max_episode_steps=episode_length)
    try:
        held.boxes = boxes.boxes(f"gym/{name}", single.observation_space, single.action_space)
        single.reset(seed=0)
        size = num_envs * mujoco_state.size(single) if vectorization == "sync" else 0
    finally:
        single.close()
    return HostEnv(
        spec=boxes.spec(held.boxes, f"gym/{name}", num_envs, episode_length),
        reset=partial(_reset, held),
        step=partial(_step, held),
        snapshot=partial(_snapshot, held, size),
        restore=partial(_restore, held),
        snapshot_size=size,
        close=partial(_close, held),
    )


def _made(held: Held, make: Any, **options: Any) -> Any:
    try:
        return make(held.name, **options)
    except ImportError as error:
        raise ConfigError(f"gym/{held.name} cannot be made: {error}; pip install 'softrl[gym]'") from None


def _reset(held: Held, seed: int) -> PyTree:
    if held.env is None:
        gymnasium = library()
        kwargs = {"autoreset_mode": gymnasium.vector.AutoresetMode.SAME_STEP}
        with quiet():
            make = partial(gymnasium.make_vec, num_envs=held.num_envs, vectorization_mode=held.vectorization)
            held.env = _made(held, make, vector_kwargs=kwargs, max_episode_steps=held.limit)
    with quiet():
        obs, _ = held.env.reset(seed=seed)
    held.last = boxes.cast(held.boxes, obs)
    return held.last


def _step(held: Held, action: np.ndarray) -> HostStep:
    obs, reward, terminated, truncated, info = held.env.step(boxes.scaled(held.boxes.low, held.boxes.high, action))
    obs = boxes.cast(held.boxes, obs)
    final = obs
    if "final_obs" in info:
        final = _merged(held, obs, info["final_obs"], info["_final_obs"])
    valid = boxes.finite(final, reward)
    terminated, truncated = terminated & valid, truncated & ~terminated & valid
    reward = np.where(valid, reward, 0.0).astype(np.float32)
    if not valid.all():
        obs, final = _quarantined(held, obs, final, valid)
    held.last = obs
    return HostStep(obs, reward, terminated, truncated, final, valid)


def _merged(held: Held, obs: PyTree, finals: Any, ended: np.ndarray) -> PyTree:
    """The fresh observations, with those that ended an episode in place of the first ones of the next."""
    final = jax.tree.map(np.copy, obs)
    for n in np.flatnonzero(ended):
        last = finals[n] if isinstance(finals, np.ndarray) else jax.tree.map(lambda x, n=n: x[n], finals)
        boxes.put(final, n, boxes.cast(held.boxes, last))
    return final


def _quarantined(held: Held, obs: PyTree, final: PyTree, valid: np.ndarray) -> tuple[PyTree, PyTree]:
    """Bad rows: their environments start a new episode, and their successor is the last good observation."""
    if held.vectorization != "sync":
        raise ConfigError(f"gym/{held.name} gave non-finite numbers; with backend sync its environment would be reset")
    obs = jax.tree.map(np.copy, obs)  # where no episode ended, both are one array
    for n in np.flatnonzero(~valid):
        fresh, _ = held.env.envs[n].reset()
        boxes.put(obs, n, boxes.cast(held.boxes, fresh))
        boxes.put(final, n, held.last, at=n)
    return obs, final


class Motion(NamedTuple):
    """An episode's poses. model: `mujoco.MjModel`. pos: `[T, L, 3]`, rot: `[T, L, 4]` (w, x, y, z), frames of its L
    bodies but the world. fps: of them a second."""

    model: Any
    pos: np.ndarray
    rot: np.ndarray
    fps: float


def rollout(
    name: str, act: Callable[[PyTree], np.ndarray], *, episode_length: int, seed: int = 0, steps: int = 250
) -> Motion:
    """One episode of one of Gymnasium's MuJoCo robots, for a film.

    Args: `act`: `obs [1, ...] -> action [1, A]` in [−1, 1]; `steps`: at most so many; it ends sooner where the episode
    does.
    Raises: ConfigError: an environment without a body.
    """
    with quiet():
        env = library().make(name, max_episode_steps=episode_length)
        its = boxes.boxes(f"gym/{name}", env.observation_space, env.action_space)
        obs, _ = env.reset(seed=seed)
        data = mujoco_state.physics(env)
        if data is None:
            env.close()
            raise ConfigError(f"gym/{name} has no body to film; of Gymnasium's, films are for MuJoCo robots")
        poses = [(data.xpos[1:].copy(), data.xquat[1:].copy())]
        for _ in range(steps):
            single = jax.tree.map(lambda x: x[None], boxes.cast(its, obs))
            obs, _, terminated, truncated, _ = env.step(boxes.scaled(its.low, its.high, act(single)[0]))
            poses.append((data.xpos[1:].copy(), data.xquat[1:].copy()))
            if terminated or truncated:
                break
        pos, rot = (np.stack(part) for part in zip(*poses, strict=True))
        motion = Motion(env.unwrapped.model, pos, rot, 1.0 / env.unwrapped.dt)
        env.close()
    return motion


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
