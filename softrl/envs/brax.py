"""Brax robots as simulators. The only module that imports Brax's environments, and only when one is made."""

import contextlib
import io
import operator
import types
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from softrl.errors import ConfigError, suggestion
from softrl.types import Continuous, Simulator

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
    with _silence(), jax.numpy_rank_promotion("allow"):
        from brax import envs

        _mend_fluid()
        return envs.get_environment(robot, **({} if robot == "fast" else {"backend": backend}))


def _mend_fluid() -> None:
    """Forces in a fluid, of which the swimmer lives, call `clip` by the names that its arguments had in older JAX."""
    from brax import fluid

    def clip(x: jax.Array, a_min=None, a_max=None) -> jax.Array:
        return jnp.clip(x, a_min, a_max)

    fluid.jp = types.SimpleNamespace(**{**vars(jnp), "clip": clip})


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Keeps Brax's advertisements, MJX's search for warp and MuJoCo's MUJOCO_LOG.TXT from the user."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        import mujoco

        mujoco.set_mju_user_warning(lambda message: None)
        try:
            yield
        finally:
            mujoco.set_mju_user_warning(None)


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
    return simulator_of(make_brax(robot, backend), action_repeat=action_repeat, randomize=randomize)


def simulator_of(env: Any, *, action_repeat: int = 1, randomize: Randomize | None = None) -> Simulator:
    """A bare environment of Brax's kind (MuJoCo Playground's too), without any of its wrappers.

    Args: `env`: `reset(key) -> state`, `step(state, action) -> state` with `obs`, `reward`, `done`; the others: see
    `simulator`.
    """
    model = Model(env, getattr(env, "sys", None), action_repeat, randomize)
    return Simulator(partial(_reset, model), partial(_step, model), Continuous(env.action_size))


class Model(NamedTuple):
    """A bare Brax environment, its `System` as shipped, and what the user asked for. Static."""

    env: Any
    nominal: Any
    action_repeat: int
    randomize: Randomize | None


def _reset(model: Model, key: jax.Array, index: jax.Array):
    # Brax's own code splits and reshapes legacy keys; typed ones stop at this door.
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
    """While Brax's code traces: its relaxed broadcasting, and the episode's own `System` where one was asked for."""
    with jax.numpy_rank_promotion("allow"):
        if model.randomize is None:
            yield
            return
        model.env.unwrapped.sys = model.randomize(jax.random.wrap_key_data(key), model.nominal)
        try:
            yield
        finally:
            model.env.unwrapped.sys = model.nominal


def rollout(env: Any, act: Callable[[jax.Array], jax.Array], key: jax.Array, steps: int) -> list[Any]:
    """Pipeline states of one episode of a bare Brax environment, for a film.

    Args: `act`: `obs[O] -> action[A]`; `steps`: at most so many; it ends sooner where the robot falls.
    Returns: a list of at most `steps` + 1 Brax pipeline states of one environment, on the host.
    """

    def step(state, _):
        new = env.step(state, act(state.obs))
        return new, (new.pipeline_state, new.done)

    @jax.jit
    def episode(key):
        first = env.reset(jax.random.key_data(key))
        _, (poses, done) = jax.lax.scan(step, first, None, length=steps)
        return first.pipeline_state, poses, done

    with jax.numpy_rank_promotion("allow"):
        first, poses, done = jax.device_get(episode(key))
    fallen = done.nonzero()[0]
    length = steps if fallen.size == 0 else int(fallen[0]) + 1
    return [first] + [jax.tree.map(operator.itemgetter(i), poses) for i in range(length)]
