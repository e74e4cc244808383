"""EnvPool's simulators as `HostEnv`s: many environments in C++ threads. EnvPool is imported only here.

EnvPool resets an environment in the step after its end, which would be a row without meaning; here those that ended
are reset at once, which draws the same episodes.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import numpy as np

from softrl import errors
from softrl.envs import boxes, gymnasium, host
from softrl.envs.boxes import Boxes
from softrl.envs.config import EnvConfig
from softrl.envs.host import HostEnv, HostStep
from softrl.envs.quiet import quiet
from softrl.envs.source import Source, require_plain
from softrl.errors import ConfigError, suggestion
from softrl.types import PyTree

KNOWN = (*(name.replace("-v5", "-v4") for name in gymnasium.KNOWN if name.endswith("-v5")), "Pendulum-v1")
"""What `softrl envs` lists, Gymnasium's robots in the version before; any of EnvPool's environments with continuous
actions will do."""


def library() -> Any:
    """EnvPool itself. Raises: ConfigError where it is not installed."""
    return errors.library("envpool", "envpool/ environments need EnvPool", "envpool")


def source(name: str, kwargs: dict[str, Any]) -> Source:
    """One of EnvPool's environments, by its id.

    Raises: ConfigError for an unknown name, with the nearest one.
    """
    with quiet():
        envpool = library()
    names = envpool.list_all_envs()
    if name not in names:
        raise ConfigError(f"unknown EnvPool environment {name!r}{suggestion(name, names)}; see envpool.list_all_envs()")
    with quiet():
        found = envpool.make_spec(name)
    known = {"on_host": True, "time_limit": found.config.max_episode_steps}
    return Source(f"envpool/{name}", f"envpool/{name}", partial(_make, name, kwargs, found), **known)


@dataclass
class Pool:
    """N environments while they are open, and how to open them. name, wishes: as EnvPool has them.

    env: EnvPool's own, None while closed. last: the newest observations, `[N, ...]`.
    """

    name: str
    wishes: dict[str, Any]
    boxes: Boxes
    env: Any = None
    last: PyTree = None


def _make(
    name: str, kwargs: dict[str, Any], found: Any, config: EnvConfig, *, stagger: bool = True, randomize: Any = None
) -> HostEnv:
    """N copies of one of EnvPool's environments.

    `HostEnv`; actions and observations as of `softrl.envs.gymnasium`. It cannot be snapshot: a resumed run begins new
    episodes. EnvPool calls an end at the time limit truncated, also where the robot fell in that step.

    Raises: ConfigError: another backend than sync (a step waits for all), actions or observations of a kind that softrl
    does not take.
    """
    del stagger  # episodes on the host begin together
    require_plain(config, randomize)
    if config.backend != "sync":
        raise ConfigError(f"backend of {config.env} must be sync, got {config.backend!r}")
    with quiet():
        spaces = found.gymnasium_observation_space, found.gymnasium_action_space
    its = boxes.boxes(config.env, *spaces)
    pool = Pool(name, kwargs | {"num_envs": config.num_envs, "max_episode_steps": config.episode_length}, its)
    return HostEnv(
        spec=boxes.spec(its, config.env, config.num_envs, config.episode_length, own_truncation=name not in KNOWN),
        reset=partial(_reset, pool),
        step=partial(_step, pool),
        snapshot=lambda: np.zeros(0, np.uint8),
        restore=partial(_refuse, pool),
        snapshot_size=0,
        close=partial(host.close, pool),
    )


def _reset(pool: Pool, seed: int) -> PyTree:
    # Seeds are EnvPool's only when it is made.
    with quiet():
        pool.env = library().make(pool.name, env_type="gymnasium", seed=host.seeds(seed, 1)[0], **pool.wishes)
    pool.last = boxes.cast(pool.boxes, pool.env.reset()[0])
    return pool.last


def _step(pool: Pool, action: np.ndarray) -> HostStep:
    obs, reward, terminated, truncated, _ = pool.env.step(boxes.given(pool.boxes, action))
    obs = final = boxes.cast(pool.boxes, obs)
    valid = boxes.finite(final, reward)
    terminated, truncated = terminated & valid, truncated & ~terminated & valid
    over = terminated | truncated | ~valid
    if over.any():
        obs = jax.tree.map(np.copy, final)
        ended = np.flatnonzero(over).astype(np.int32)
        fresh, info = pool.env.reset(ended)
        fresh = boxes.cast(pool.boxes, fresh)
        for row, n in enumerate(info["env_id"]):
            boxes.put(obs, n, fresh, at=row)
        for n in np.flatnonzero(~valid):  # the last good observation stands for what cannot be stored
            boxes.put(final, n, pool.last, at=n)
    pool.last = obs
    reward = np.where(valid, reward, 0.0).astype(np.float32)
    return HostStep(obs, reward, np.array(terminated), np.array(truncated), final, valid)


def _refuse(pool: Pool, snapshot: np.ndarray, obs: PyTree) -> None:
    raise ConfigError(f"envpool/{pool.name} cannot be put back to a snapshot of {len(snapshot)} bytes")
