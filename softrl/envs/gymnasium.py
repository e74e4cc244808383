"""Gymnasium's environments as `HostEnv`s. The only module that imports Gymnasium, when one is looked up.

Its vector environments reset in the same step and keep the true last observation, which is what learning needs.
"""

import copy
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import numpy as np

from softrl import errors
from softrl.envs import boxes, gymnasium_state, gymnasium_trial, host
from softrl.envs.boxes import Boxes
from softrl.envs.config import EnvConfig
from softrl.envs.host import HostEnv, HostStep
from softrl.envs.modules import imported
from softrl.envs.quiet import quiet
from softrl.envs.source import Frames, Motion, Source, require_plain, spelled
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

Maker = Callable[..., Any]
"""`(episode_length, **arguments) -> one Gymnasium environment` with that time limit."""


def library() -> Any:
    """Gymnasium itself. Raises: ConfigError where it is not installed."""
    return errors.library("gymnasium", "gym/ environments need Gymnasium", "gym")


def source(name: str, kwargs: dict[str, Any]) -> Source:
    """An environment of Gymnasium's registry, by its id; `package:Id-v0` imports the package first.

    Raises: ConfigError for an unknown name, with the nearest known one.
    """
    gymnasium = library()
    package, _, member = name.rpartition(":")
    try:
        with quiet():
            if package:
                imported(package)
            found = gymnasium.spec(member)
    except gymnasium.error.Error as error:
        raise ConfigError(f"unknown Gymnasium environment {name!r}{suggestion(name, KNOWN)} ({error})") from None
    by_name = isinstance(found.entry_point, str)
    lasting = by_name or bool(package)  # a class was registered in this process only, if not by its package
    of = found.entry_point if by_name else spelled(found.entry_point)
    if of.startswith("gymnasium."):  # it may move from version to version
        of = f"gym/{member}"
    known = {"lasting": lasting, "time_limit": found.max_episode_steps}
    return _source(f"gym/{name}", of, partial(_registered, name, kwargs), **known)


def _source(name: str, of: str, maker: Maker, **known: Any) -> Source:
    return Source(name, of, partial(_make, maker), on_host=True, film=partial(_film, maker), **known)


def source_of(function: Callable[..., Any], env: Any, name: str, of: str) -> Source:
    """Environments that a user's function makes, one at each call. Args: `env`: one of them."""
    if hasattr(env, "num_envs"):
        raise ConfigError(f"{name} makes {env.num_envs} environments at once: let it make one; softrl makes N of them")
    wrapper = gymnasium_state.time_limit(env)
    limit = None if wrapper is None else wrapper._max_episode_steps
    return _source(name, of, partial(_limited, function), time_limit=limit)


def _registered(name: str, kwargs: dict[str, Any], episode_length: int, **more: Any) -> Any:
    try:
        return library().make(name, max_episode_steps=episode_length, **kwargs, **more)
    except ImportError as error:
        raise ConfigError(f"gym/{name} cannot be made: {error}; pip install 'softrl[gym]'") from None
    except TypeError as error:
        if "gymnasium.Env" in str(error):
            raise ConfigError(f"gym/{name} cannot be made: {error}") from None
        if not kwargs:
            raise
        raise ConfigError(f"gym/{name} cannot be made with env_kwargs {kwargs}: {error}") from None


def _owned(maker: Maker, plain: bool, episode_length: int) -> Any:
    """A user's environment whose observations stay what they are, and whose rewards are numbers.

    One that writes every observation into the same array would change the last of an episode by its reset, before
    Gymnasium's vector environment hands it out. Args: `plain`: whether its rewards are no arrays of one number.
    """
    env = maker(episode_length)
    env = library().wrappers.TransformObservation(env, copy.deepcopy, env.observation_space)
    return env if plain else library().wrappers.TransformReward(env, gymnasium_trial.number)


def _limited(function: Callable[..., Any], episode_length: int, **more: Any) -> Any:
    """One environment of a function's, its own time limit moved to ours."""
    env = function(**more)
    wrapper = gymnasium_state.time_limit(env)
    if wrapper is None:
        return library().wrappers.TimeLimit(env, episode_length)
    wrapper._max_episode_steps = episode_length
    return env


@dataclass
class OpenEnvs:
    """N environments while they are open, and how to open them. name, num_envs, limit, vectorization: as asked for.

    env: Gymnasium's vector environment, None while closed. last: the newest observations `[N, ...]`.
    """

    name: str
    maker: Maker
    num_envs: int
    limit: int
    vectorization: str
    boxes: Boxes
    env: Any = None
    last: PyTree = None


def _make(maker: Maker, config: EnvConfig, *, stagger: bool = True, randomize: Any = None) -> HostEnv:
    """N copies of an environment: `HostEnv`.

    Actions in [−1, 1] are mapped to the environment's bounds, observations in float64 are given in float32. With `sync`
    what `softrl.envs.gymnasium_state` knows can be snapshot.

    Raises: ConfigError: an unknown backend, actions or observations of a kind that softrl does not take.
    """
    del stagger  # episodes on the host begin together
    require_plain(config, randomize)
    name, num_envs, limit, how = config.env, config.num_envs, config.episode_length, config.backend
    if how not in VECTORIZATION:
        raise ConfigError(f"backend of {name} must be one of {', '.join(VECTORIZATION)}, got {how!r}")
    with quiet():
        single = maker(limit)
    try:
        its = boxes.boxes(name, single.observation_space, single.action_space)
        with quiet():
            plain = gymnasium_trial.tried(name, single, its)
            single.reset(seed=0)
        size = num_envs * gymnasium_state.size(single) if how == "sync" else 0
        users = not gymnasium_state.is_gymnasiums(single, "mujoco", "classic_control")
    finally:
        single.close()
    opened = OpenEnvs(name, partial(_owned, maker, plain) if users else maker, num_envs, limit, how, its)
    return HostEnv(
        spec=boxes.spec(its, name, num_envs, limit, own_truncation=users),
        reset=partial(_reset, opened),
        step=partial(_step, opened),
        snapshot=partial(_snapshot, opened, size),
        restore=partial(_restore, opened),
        snapshot_size=size,
        close=partial(host.close, opened),
    )


def _reset(opened: OpenEnvs, seed: int) -> PyTree:
    if opened.env is None:
        vector = library().vector
        kind = vector.SyncVectorEnv if opened.vectorization == "sync" else vector.AsyncVectorEnv
        with quiet():
            makers = [partial(opened.maker, opened.limit)] * opened.num_envs
            opened.env = kind(makers, autoreset_mode=vector.AutoresetMode.SAME_STEP)
    with quiet():
        obs, _ = opened.env.reset(seed=host.seeds(seed, opened.num_envs))
    opened.last = boxes.cast(opened.boxes, obs)
    return opened.last


def _step(opened: OpenEnvs, action: np.ndarray) -> HostStep:
    obs, reward, terminated, truncated, info = opened.env.step(boxes.given(opened.boxes, action))
    obs = boxes.cast(opened.boxes, obs)
    final = obs
    if "final_obs" in info:
        final = _merged(opened, obs, info["final_obs"], info["_final_obs"])
    reward, terminated, truncated = (np.reshape(x, opened.num_envs) for x in (reward, terminated, truncated))
    with np.errstate(over="ignore"):  # what float32 cannot hold is as bad as what was not finite before
        reward = reward.astype(np.float32)
    valid = boxes.finite(final, reward)
    terminated, truncated = terminated & valid, truncated & ~terminated & valid
    reward = np.where(valid, reward, np.float32(0.0))
    if not valid.all():
        obs, final = _quarantined(opened, obs, final, valid)
    opened.last = obs
    return HostStep(obs, reward, terminated, truncated, final, valid)


def _merged(opened: OpenEnvs, obs: PyTree, finals: Any, ended: np.ndarray) -> PyTree:
    """The fresh observations, with those that ended an episode in place of the first ones of the next."""
    final = jax.tree.map(np.copy, obs)
    for n in np.flatnonzero(ended):
        last = finals[n] if isinstance(finals, np.ndarray) else jax.tree.map(lambda x, n=n: x[n], finals)
        boxes.put(final, n, boxes.cast(opened.boxes, last))
    return final


def _quarantined(opened: OpenEnvs, obs: PyTree, final: PyTree, valid: np.ndarray) -> tuple[PyTree, PyTree]:
    """Bad rows: their environments start a new episode, and their successor is the last good observation."""
    if opened.vectorization != "sync":
        raise ConfigError(f"{opened.name} gave non-finite numbers; with backend sync its environment would be reset")
    obs = jax.tree.map(np.copy, obs)  # where no episode ended, both are one array
    for n in np.flatnonzero(~valid):
        fresh, _ = opened.env.envs[n].reset()
        boxes.put(obs, n, boxes.cast(opened.boxes, fresh))
        boxes.put(final, n, opened.last, at=n)
    return obs, final


def _film(maker: Maker, act: Callable, config: EnvConfig, *, seed: int, steps: int) -> Motion | Frames:
    """One episode, for a film: poses of a MuJoCo robot, of any other environment the pictures that it draws."""
    with quiet():
        env = maker(config.episode_length)
        try:
            data = gymnasium_state.physics(env)
            if data is not None:
                poses = _played(env, act, config, seed, steps, lambda: (data.xpos[1:].copy(), data.xquat[1:].copy()))
                pos, rot = (np.stack(part) for part in zip(*poses, strict=True))
                return Motion(env.unwrapped.model, pos, rot, 1.0 / env.unwrapped.dt)
            if env.render_mode != "rgb_array":
                blind, env = env, _drawing(maker, env, config)
                blind.close()
            pictures = _played(env, act, config, seed, steps, lambda: np.array(env.render()))
            return Frames(np.stack(pictures), float(env.metadata.get("render_fps", 30)))
        except library().error.DependencyNotInstalled as error:
            raise ConfigError(f"{config.env} cannot be drawn: {error}") from None
        finally:
            env.close()


def _drawing(maker: Maker, env: Any, config: EnvConfig) -> Any:
    """The environment in a form that draws itself."""
    takes = maker.func is not _limited or _takes(maker.args[0], "render_mode")
    if not takes or "rgb_array" not in env.metadata.get("render_modes", ()):
        raise ConfigError(f"{config.env} has no body to film, and cannot be made with render_mode='rgb_array'")
    return maker(config.episode_length, render_mode="rgb_array")


def _takes(function: Callable[..., Any], name: str) -> bool:
    parameters = inspect.signature(function).parameters.values()
    return any(p.name == name or p.kind is p.VAR_KEYWORD for p in parameters)


def _played(env: Any, act: Callable, config: EnvConfig, seed: int, steps: int, look: Callable[[], Any]) -> list[Any]:
    """What `look` sees at the start and after each step of an episode of at most `steps`."""
    its = boxes.boxes(config.env, env.observation_space, env.action_space)
    obs, _ = env.reset(seed=seed)
    seen = [look()]
    for _ in range(steps):
        single = jax.tree.map(lambda x: x[None], boxes.cast(its, obs))
        obs, _, terminated, truncated, _ = env.step(boxes.given(its, act(single))[0])
        seen.append(look())
        if terminated or truncated:
            break
    return seen


def _snapshot(opened: OpenEnvs, size: int) -> np.ndarray:
    if not size:
        return np.zeros(0, np.uint8)
    parts = [gymnasium_state.read(env) for env in opened.env.envs]
    return gymnasium_state.require_size(opened.env.envs[0], np.concatenate(parts), size)


def _restore(opened: OpenEnvs, snapshot: np.ndarray, obs: PyTree) -> None:
    parts = np.split(np.asarray(snapshot, np.uint8), opened.num_envs)
    _reset(opened, 0)
    for env, part in zip(opened.env.envs, parts, strict=True):
        gymnasium_state.write(env, part)
    opened.last = obs
