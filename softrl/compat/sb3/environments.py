"""Environments in the shape of Stable-Baselines3's `VecEnv`: `step` gives `(obs, rewards, dones, infos)`, episodes that
ended begin anew at once, and their `infos[n]` have `terminal_observation` and `TimeLimit.truncated`."""

import sys
from functools import partial
from typing import Any

import jax
import numpy as np

from softrl.envs import boxes, host
from softrl.envs.gymnasium import library
from softrl.envs.gymnasium_trial import number
from softrl.errors import ConfigError
from softrl.types import Continuous, PyTree


class VectorEnv:
    """A Gymnasium vector environment in that shape; as of `Monitor`, `infos[n]["episode"]` has return `r`, length `l`.

    num_envs, observation_space, action_space (of one), render_mode: as in `VecEnv`. env: what is inside.
    """

    def __init__(self, env: Any):
        self.env, self.num_envs, self.render_mode = env, env.num_envs, env.render_mode
        self.observation_space, self.action_space = env.single_observation_space, env.single_action_space
        self.seed(None)

    def seed(self, seed: int | None = None) -> None:
        """Every environment's own seed at the next `reset`."""
        self._seeds = None if seed is None else host.seeds(seed, self.num_envs)

    def reset(self) -> PyTree:
        """First observations `[N, ...]`."""
        obs, _ = self.env.reset(seed=self._seeds)
        self._seeds = None
        self._returns, self._lengths = np.zeros(self.num_envs), np.zeros(self.num_envs, int)
        return obs

    def step(self, actions: np.ndarray) -> tuple[PyTree, np.ndarray, np.ndarray, list[dict[str, Any]]]:
        """`(obs [N, ...], rewards [N], dones [N], infos)` for actions `[N, ...]` within the environment's bounds."""
        obs, rewards, terminated, truncated, info = self.env.step(actions)
        dones = terminated | truncated
        last = info.pop("final_obs", obs)  # of those that begin anew in the same step
        if dones.any() and last is obs:
            obs, _ = self.env.reset(options={"reset_mask": dones})
        ended = info.pop("final_info", info)
        infos = [_of_one(ended if dones[n] else info, n) for n in range(self.num_envs)]
        self._returns, self._lengths = self._returns + rewards, self._lengths + 1
        for n in np.flatnonzero(dones):
            infos[n] |= {"terminal_observation": _row(last, n), "TimeLimit.truncated": not terminated[n]}
            infos[n]["episode"] = {"r": float(self._returns[n]), "l": int(self._lengths[n])}
            self._returns[n], self._lengths[n] = 0.0, 0
        return obs, rewards, dones, infos

    def render(self, mode: str | None = None) -> Any:
        """The first environment's picture, in the mode that it was made with."""
        pictures = self.env.render()
        return pictures[0] if pictures else None

    def close(self) -> None:
        """Closes all."""
        self.env.close()

    def get_attr(self, name: str, indices: Any = None) -> list[Any]:
        """An attribute of every environment, or of those at `indices`."""
        every = list(self.env.get_attr(name))
        return every if indices is None else [every[n] for n in np.atleast_1d(indices)]

    def env_method(self, name: str, *arguments: Any, indices: Any = None, **named: Any) -> list[Any]:
        """Calls a method of every environment. Raises: ConfigError: `indices`, which Gymnasium's cannot choose by."""
        if indices is not None:
            raise ConfigError(f"env_method({name!r}) calls every environment, got indices={indices!r}: leave it out")
        return list(self.env.call(name, *arguments, **named))

    def env_is_wrapped(self, wrapper: type, indices: Any = None) -> list[bool]:
        """Whether returns are watched, which is what callers ask with `Monitor`: they are."""
        return [True] * (self.num_envs if indices is None else len(np.atleast_1d(indices)))


def vectorised(env: Any) -> Any:
    """A Gymnasium id, environment or vector environment in the shape of `VecEnv`; one of Stable-Baselines3's as it is.

    Raises: ConfigError: something else, or one that normalises what was stored before.
    """
    if hasattr(env, "step_async") and not hasattr(env, "single_observation_space"):
        inner = env
        while inner is not None:
            if hasattr(inner, "get_original_obs"):
                raise ConfigError(
                    "VecNormalize would change observations that are stored already: give what it wraps (env.venv); "
                    "`softrl train gym/…` normalises by itself"
                )
            inner = getattr(inner, "venv", None)
        return env
    theirs = sys.modules.get("stable_baselines3.common.vec_env")
    if theirs is not None:  # whose `evaluate_policy` and `EvalCallback` ask for the class
        theirs.DummyVecEnv.register(VectorEnv)
    if isinstance(env, str):
        env = library().make(env)
    if isinstance(env, VectorEnv):
        return env
    if hasattr(env, "single_observation_space"):
        return VectorEnv(env)
    if not isinstance(env, library().Env):
        raise ConfigError(f"env must be a Gymnasium id, environment or vector environment, got {env!r}")
    vector, plain = library().vector, library().wrappers.TransformReward(env, number)
    return VectorEnv(vector.SyncVectorEnv([lambda: plain], autoreset_mode=vector.AutoresetMode.DISABLED))


def spaces(env: Any) -> boxes.Boxes:
    """What an environment takes and gives. Raises: ConfigError: actions that are not bounded numbers."""
    its = boxes.boxes("env", env.observation_space, env.action_space)
    if not isinstance(its.action, Continuous):
        raise ConfigError(f"env: soft actor-critic learns continuous actions, got {env.action_space}")
    return its


def written(its: boxes.Boxes) -> dict[str, Any]:
    """What a saved model must know of its spaces beside its learner's spec, as JSON."""
    return {"low": its.action.low, "high": its.action.high, "shape": its.shape, "starts": its.starts}


def read(obs: PyTree, saved: dict[str, Any]) -> boxes.Boxes:
    """The spaces that `written` described. Args: `obs`: of the learner's spec."""
    low, high = tuple(saved["low"]), tuple(saved["high"])
    # Older models have no more than the bounds.
    shape, starts = saved.get("shape", [len(low)]), saved.get("starts", [None] * len(jax.tree.leaves(obs)))
    action = Continuous(len(low), low, high)
    return boxes.Boxes(obs, tuple(starts), action, tuple(shape), np.dtype(np.float32))


def _of_one(info: dict[str, Any], n: int) -> dict[str, Any]:
    """What the n-th environment said, of Gymnasium's arrays with their masks `_name`."""
    said = {name: value for name, value in info.items() if isinstance(value, np.ndarray) and f"_{name}" in info}
    return {name: value[n] for name, value in said.items() if info[f"_{name}"][n]}


def _row(obs: PyTree, n: int) -> PyTree:
    return obs[n] if isinstance(obs, np.ndarray) else jax.tree.map(partial(_row, n=n), obs)
