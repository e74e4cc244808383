"""Brax robots as simulators. The only module that imports Brax's environments, and only when one is made."""

import contextlib
import inspect
import sys
import types
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from softrl.envs.config import EnvConfig
from softrl.envs.quiet import quiet
from softrl.envs.source import Motion, Source, called, copies, require_32_bits, spelled
from softrl.errors import ConfigError, require_known
from softrl.types import Continuous, Env, Simulator

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

MODELS = ("sys", "_mjx_model")
"""Where environments of Brax's and of MuJoCo Playground's kind have their model."""

Randomize = Callable[[jax.Array, Any], Any]
"""Domain randomisation: `(key, model) -> model` for one environment and episode."""


def source(robot: str, kwargs: dict[str, Any]) -> Source | None:
    """A robot of Brax's registry, which users may have added to; None for an unknown one. Brax is not imported yet."""
    kind = None
    if "brax.envs" in sys.modules:  # before it is imported nobody can have changed its registry
        kind = sys.modules["brax.envs"]._envs.get(robot)
    shipped = robot in ROBOTS and (kind is None or kind.__module__.split(".")[0] == "brax")
    if kind is None and not shipped:
        return None
    of = f"brax/{robot}" if shipped else spelled(kind)
    return _source(f"brax/{robot}", of, lambda config: make_brax(robot, config.backend, **kwargs), lasting=shipped)


def _source(name: str, of: str, made: Callable[[EnvConfig], Any], **known: Any) -> Source:
    return Source(name, of, partial(_made, made), film=partial(_film, made), **known)


def source_of(env: Any, of: str) -> Source:
    """An environment object of Brax's kind; `reset(key) -> state`, `step(state, action) -> state`, `action_size`.

    Raises: ConfigError: one inside of wrappers that lose an episode's last observation.
    """
    inner = env
    while inner is not None:
        if type(inner).__name__.endswith(WRAPPERS):
            raise ConfigError(
                f"{type(inner).__name__} resets or batches by itself, which loses last observations: give the bare "
                "environment, such as brax.envs.get_environment(...)"
            )
        inner = getattr(inner, "__dict__", {}).get("env")
    robot = _stock(env)
    if robot is None:
        return _source(f"own/{type(env).__name__}", of, lambda config: env, lasting=False)
    name = f"brax/{robot}"
    return _source(name, name, lambda config: env, backend=getattr(env, "_backend", None))


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

    def clip(x: jax.Array, a_min=None, a_max=None) -> jax.Array:
        return jnp.clip(x, a_min, a_max)

    fluid.jp = types.SimpleNamespace(**{**vars(jnp), "clip": clip})


def _made(made: Callable[[EnvConfig], Any], config: EnvConfig, *, stagger: bool, randomize: Randomize | None) -> Env:
    require_32_bits(config.env)
    env = made(config)
    bare = getattr(env, "unwrapped", env)
    held = next((name for name in MODELS if hasattr(bare, name)), None)
    if randomize is not None and held is None:
        raise ConfigError(f"domain randomisation redraws {' or '.join(MODELS)}, and {type(env).__name__} has none")
    model = Model(env, held, None if held is None else getattr(bare, held), config.action_repeat, randomize)
    simulator = Simulator(partial(_reset, model), partial(_step, model), Continuous(env.action_size))
    return copies(simulator, config, stagger)


class Model(NamedTuple):
    """What a simulator is made of; its state is `(state, key)`. Static.

    env: bare, of Brax's kind (MuJoCo Playground's too), without any of its wrappers. held: under which name, see
    `MODELS`, it has its model; nominal: that as shipped. action_repeat: physics steps an action; rewards add up until
    the robot falls. randomize: redraws the model for every episode. Only its key is kept in the state: the draw is
    repeated at each step, so that thousands of environments do not hold thousands of models.
    """

    env: Any
    held: str | None
    nominal: Any
    action_repeat: int
    randomize: Randomize | None


def _reset(model: Model, key: jax.Array, index: jax.Array):
    # Brax's own code splits and reshapes legacy keys; typed ones stop here.
    legacy = jax.random.key_data(key)
    with _system(model, legacy):
        state = model.env.reset(legacy)
    return (state, legacy), state.obs


def _step(model: Model, sim, action: jax.Array):
    state, key = sim
    with _system(model, key):
        new = model.env.step(state, action)
        reward, fallen = new.reward, new.done > 0.5
        if model.action_repeat > 1:
            (new, reward, fallen), _ = jax.lax.scan(
                partial(_again, model.env, action), (new, reward, fallen), None, length=model.action_repeat - 1
            )
    return (new, key), new.obs, reward, fallen


def _again(env: Any, action: jax.Array, carry, _):
    """One more physics step of the same action, unless the robot has fallen."""
    state, reward, fallen = carry
    stepped = env.step(state, action)
    state = jax.tree.map(lambda new, old: jnp.where(fallen, old, new), stepped, state)
    return (state, reward + jnp.where(fallen, 0.0, stepped.reward), fallen | (stepped.done > 0.5)), None


@contextlib.contextmanager
def _system(model: Model, key: jax.Array) -> Iterator[None]:
    """While Brax's code traces: its relaxed broadcasting, and the episode's own model where one was asked for."""
    with jax.numpy_rank_promotion("allow"):
        if model.randomize is None:
            yield
            return
        bare = getattr(model.env, "unwrapped", model.env)
        setattr(bare, model.held, model.randomize(jax.random.wrap_key_data(key), model.nominal))
        try:
            yield
        finally:
            setattr(bare, model.held, model.nominal)


def _film(made: Callable[[EnvConfig], Any], act: Callable, config: EnvConfig, *, seed: int, steps: int) -> Motion:
    """One episode, which ends sooner than `steps` where the robot falls."""
    env = made(config)
    if not hasattr(getattr(env, "sys", None), "mj_model"):
        raise ConfigError(f"{config.env} has no body to film: it has no sys, Brax's model of one")

    def step(state, _):
        new = env.step(state, act(state.obs))
        return new, (new.pipeline_state.x, new.done)

    @jax.jit
    def episode(key):
        first = env.reset(jax.random.key_data(key))
        _, (poses, done) = jax.lax.scan(step, first, None, length=steps)
        return first.pipeline_state.x, poses, done

    with jax.numpy_rank_promotion("allow"):
        first, poses, done = jax.device_get(episode(jax.random.key(seed)))
    fallen = done.nonzero()[0]
    length = steps if fallen.size == 0 else int(fallen[0]) + 1
    whole = jax.tree.map(lambda one, more: np.concatenate([one[None], more[:length]]), first, poses)
    return Motion(env.sys.mj_model, whole.pos, whole.rot, 1.0 / float(env.dt), env.sys)
