"""Brax robots as simulators. The only module that imports Brax's environments, and only when one is made."""

import inspect
import sys
from typing import Any

import jax
import numpy as np

from softrl.envs import brax_kind, playground_objects
from softrl.envs.older_jax import older_jnp
from softrl.envs.quiet import quiet
from softrl.envs.source import Source, called, spelled
from softrl.errors import ConfigError, require_known

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
WRAPPERS = ("AutoResetWrapper", "EpisodeWrapper", "EvalWrapper", "VmapWrapper")
"""Ends of the names of Brax's and MuJoCo Playground's wrappers that do what `softrl.envs.episodes` does."""


def source(robot: str, kwargs: dict[str, Any]) -> Source | None:
    """A robot of Brax's registry, which users may have added to; None for an unknown one. Brax is not imported yet."""
    kind = None
    if "brax.envs" in sys.modules:  # before it is imported nobody can have changed its registry
        kind = sys.modules["brax.envs"]._envs.get(robot)
    shipped = robot in ROBOTS and (kind is None or kind.__module__.split(".")[0] == "brax")
    if kind is None and not shipped:
        return None
    of = f"brax/{robot}" if shipped else spelled(kind)
    return brax_kind.source(
        f"brax/{robot}", of, lambda config: make_brax(robot, config.backend, **kwargs), lasting=shipped
    )


def source_of(env: Any, of: str) -> Source:
    """An environment object of Brax's kind; `reset(key) -> state`, `step(state, action) -> state`, `action_size`.

    Raises: ConfigError: one inside of wrappers that lose an episode's last observation; one that moves by MuJoCo Warp.
    """
    inner = env
    while inner is not None:
        if type(inner).__name__.endswith(WRAPPERS):
            raise ConfigError(
                f"{type(inner).__name__} resets or batches by itself, which loses last observations: give the bare "
                "environment, such as brax.envs.get_environment(...)"
            )
        inner = getattr(inner, "__dict__", {}).get("env")
    known = playground_objects.source_of(env)
    if known is not None:
        return known
    playground_objects.require_jax(env)
    robot = _stock(env)
    if robot is None:
        return brax_kind.source(f"own/{type(env).__name__}", of, lambda config: env, lasting=False)
    name = f"brax/{robot}"
    return brax_kind.source(name, name, lambda config: env, backend=getattr(env, "_backend", None))


def _stock(env: Any) -> str | None:
    """The robot that an object is, if making that robot again makes the same; None for any other environment."""
    if not type(env).__module__.startswith("brax.envs."):
        return None
    from brax import envs

    robot = next((robot for robot in ROBOTS if envs._envs.get(robot) is type(env)), None)
    if robot is None:
        return None
    mine, its = (jax.tree.leaves(vars(one)) for one in (env, make_brax(robot, getattr(env, "_backend", "spring"))))
    return robot if len(mine) == len(its) and all(map(_equal, mine, its)) else None


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, jax.Array | np.ndarray | bool | int | float | str):
        return np.array_equal(one, other)
    return type(one) is type(other)


def make_brax(robot: str, backend: str, **kwargs: Any):
    """A bare Brax environment, without any of its wrappers. Args: `kwargs`: the robot's own.

    Raises: ConfigError for an unknown backend or argument, or a backend that the robot does not come in.
    """
    require_known("backend", backend, BACKENDS)
    if robot == "swimmer" and backend != "generalized":
        raise ConfigError(f"Brax's swimmer exists only for backend 'generalized', got {backend!r}")
    with quiet(prints=True), jax.numpy_rank_promotion("allow"):
        from brax import envs

        _mend_fluid()
        kind = envs._envs[robot]
        known = inspect.signature(kind).parameters
        takes = "backend" in known or (robot != "fast" and any(p.kind is p.VAR_KEYWORD for p in known.values()))
        return called(f"brax/{robot}", kind, ({"backend": backend} if takes else {}) | kwargs)


def _mend_fluid() -> None:
    """Forces in a fluid, of which the swimmer lives, call `clip` by the names that its arguments had in older JAX."""
    from brax import fluid

    fluid.jp = older_jnp()
