"""Environments in gymnax's manner: `reset(key, params)`, `step_env(key, state, action, params)`, spaces, parameters.

gymnax calls the time limit and death both `done`. Its limit, `params.max_steps_in_episode`, is moved beyond ours, so
that what is left of `done` is death.
"""

import dataclasses
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from softrl.envs import boxes
from softrl.envs.config import EnvConfig
from softrl.envs.source import Source, simulated
from softrl.errors import ConfigError
from softrl.types import Discrete, PyTree, Simulator

LIMIT = "max_steps_in_episode"
"""The field of the parameters that holds the time limit."""


def is_alike(env: Any) -> bool:
    """Whether an object has gymnax's functions, with or without `step_env`."""
    return callable(getattr(env, "action_space", None)) and hasattr(env, "reset") and hasattr(env, "default_params")


def source_of(env: Any, params: Any, of: str) -> Source:
    """One environment. Args: `params`: None: its `default_params`.

    Raises: ConfigError: one that resets by itself only, or whose `done` cannot be told from a time limit.
    """
    name, params = type(env).__name__, env.default_params if params is None else params
    if not hasattr(env, "step_env"):
        raise ConfigError(
            f"{name} has only a step that resets by itself, which loses an episode's last observation: give it "
            "step_env(key, state, action, params) -> (obs, state, reward, done, info), the same without the reset"
        )
    limit = getattr(params, LIMIT, None)
    more = {"lasting": False, "time_limit": None if limit is None else int(limit)}
    return simulated(f"own/{name}", of, partial(_simulator, env, params), **more)


class Model(NamedTuple):
    """An environment and its parameters. shape: of its actions. one_of: n, where it observes one of n. tells: whether
    info says what terminated."""

    env: Any
    params: Any
    shape: tuple[int, ...]
    one_of: int | None
    tells: bool = False


class State(NamedTuple):
    """sim: the environment's own. key: of the episode. step: steps into it, the address of the next draw."""

    sim: PyTree
    key: jax.Array
    step: jax.Array


def _simulator(env: Any, params: Any, config: EnvConfig) -> Simulator:
    if hasattr(params, LIMIT):
        replace = next((getattr(params, name) for name in ("replace", "_replace") if hasattr(params, name)), None)
        limit = {LIMIT: config.episode_length + 1}
        params = replace(**limit) if replace else dataclasses.replace(params, **limit)
    action = env.action_space(params)
    space = env.observation_space(params) if hasattr(env, "observation_space") else None
    kind = boxes.acted(config.env, action)
    one_of = int(space.n) if hasattr(space, "n") and not hasattr(space, "low") else None
    model = Model(env, params, () if isinstance(kind, Discrete) else tuple(action.shape), one_of)
    sim, _ = jax.eval_shape(partial(_reset, model), jax.random.key(0), jnp.int32(0))
    info = jax.eval_shape(partial(_stepped, model), sim, jax.ShapeDtypeStruct(kind.shape, kind.dtype))[4]
    tells = isinstance(info, dict) and "terminated" in info
    if not tells and not hasattr(params, LIMIT):
        raise ConfigError(
            f"{config.env}: done may be death or a time limit, and the two are learned from differently: give params a "
            f'field {LIMIT}, or let step_env tell info["terminated"]'
        )
    model = model._replace(tells=tells)
    return Simulator(partial(_reset, model), partial(_step, model), kind)


def _reset(model: Model, key: jax.Array, index: jax.Array) -> tuple[State, PyTree]:
    obs, sim = model.env.reset(jax.random.fold_in(key, 0), model.params)
    return State(sim, key, jnp.uint32(1)), _observed(model, obs)


def _step(model: Model, state: State, action: jax.Array) -> tuple[State, PyTree, jax.Array, jax.Array]:
    obs, sim, reward, done, info = _stepped(model, state, action)
    terminated = info["terminated"] if model.tells else done
    new = State(sim, state.key, state.step + 1)
    return new, _observed(model, obs), jnp.asarray(reward, jnp.float32), jnp.asarray(terminated, jnp.bool_)


def _stepped(model: Model, state: State, action: jax.Array) -> tuple[PyTree, PyTree, jax.Array, jax.Array, Any]:
    key = jax.random.fold_in(state.key, state.step)
    return model.env.step_env(key, state.sim, action.reshape(model.shape), model.params)


def _observed(model: Model, obs: PyTree) -> PyTree:
    return obs if model.one_of is None else jax.nn.one_hot(obs, model.one_of)
