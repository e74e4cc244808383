"""Brax robots as simulators. The only module that imports Brax's environments, and only when one is made."""

import warnings
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from softrl.errors import ConfigError, suggestion
from softrl.types import Simulator

ROBOTS = (
    "ant",
    "halfcheetah",
    "hopper",
    "humanoid",
    "humanoidstandup",
    "inverted_pendulum",
    "inverted_double_pendulum",
    "pusher",
    "reacher",
    "swimmer",
    "walker2d",
    "fast",
)
BACKENDS = ("generalized", "positional", "spring", "mjx")

Randomize = Callable[[jax.Array, Any], Any]
"""Domain randomisation: `(key, System) -> System` for one environment and episode."""


def make_brax(robot: str, backend: str):
    """A bare Brax environment, without any of its wrappers.

    Raises: ConfigError for an unknown robot or backend, or one that the robot does not come in.
    """
    if robot not in ROBOTS:
        raise ConfigError(f"unknown Brax robot {robot!r}{suggestion(robot, ROBOTS)}; known: {', '.join(ROBOTS)}")
    if backend not in BACKENDS:
        raise ConfigError(f"unknown backend {backend!r}{suggestion(backend, BACKENDS)}; known: {', '.join(BACKENDS)}")
    if robot == "swimmer" and backend != "generalized":
        raise ConfigError(f"Brax's swimmer exists only for backend 'generalized', got {backend!r}")
    with warnings.catch_warnings(), jax.numpy_rank_promotion("allow"):
        warnings.simplefilter("ignore")
        from brax import envs

        return envs.get_environment(robot, **({} if robot == "fast" else {"backend": backend}))


def simulator(robot: str, backend: str, *, action_repeat: int = 1, randomize: Randomize | None = None) -> Simulator:
    """One Brax robot.

    Args:
      robot: one of `ROBOTS`.
      backend: one of `BACKENDS`.
      action_repeat: physics steps an action; rewards add up until the robot falls.
      randomize: redraws the `System` for every episode. Only its key is kept in the state: the draw is repeated at
        each step, so that thousands of environments do not hold thousands of models.
    Returns:
      `Simulator`, whose state is `(brax State, key)`.
    """
    env = make_brax(robot, backend)
    nominal = getattr(env, "sys", None)

    def with_system(key, call):
        if randomize is None:
            return call()
        env.unwrapped.sys = randomize(jax.random.wrap_key_data(key), nominal)
        try:
            return call()
        finally:
            env.unwrapped.sys = nominal

    def reset(key, index):
        # Brax's own code splits and reshapes legacy keys; typed ones stop at this door.
        legacy = jax.random.key_data(key)
        with jax.numpy_rank_promotion("allow"):
            state = with_system(legacy, lambda: env.reset(legacy))
        return (state, legacy), state.obs

    def step(sim, action):
        state, key = sim

        def once(carry, _):
            state, reward, fallen = carry
            stepped = with_system(key, lambda: env.step(state, action))
            state = jax.tree.map(lambda new, old: jnp.where(fallen, old, new), stepped, state)
            reward = reward + jnp.where(fallen, 0.0, stepped.reward)
            return (state, reward, fallen | (stepped.done > 0.5)), None

        with jax.numpy_rank_promotion("allow"):
            if action_repeat == 1:
                state = with_system(key, lambda: env.step(state, action))
                reward, fallen = state.reward, state.done > 0.5
            else:
                start = (state, jnp.float32(0.0), jnp.bool_(False))
                (state, reward, fallen), _ = jax.lax.scan(once, start, None, length=action_repeat)
        return (state, key), state.obs, reward, fallen

    return Simulator(reset, step, env.action_size)
