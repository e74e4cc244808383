"""Environments of Brax's kind, MuJoCo Playground's too, as simulators: `reset(key) -> state`, `step(state, action)`."""

import contextlib
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from softrl.envs.config import EnvConfig
from softrl.envs.domain_randomization import OWN, OfMany, Randomize, draws, redrawn
from softrl.envs.source import Motion, Source, copies, require_32_bits
from softrl.errors import ConfigError
from softrl.types import Continuous, Env, Simulator

MODELS = ("sys", "_mjx_model")
"""Where environments of Brax's and of MuJoCo Playground's kind have their model."""

RANDOMIZER = "domain_randomize"
"""The method by which an environment of a user's own redraws its model, of the form that `OfMany` takes."""


def source(
    name: str, of: str, made: Callable[[EnvConfig], Any], *, randomizer: Callable[[], Any] | None = None, **known: Any
) -> Source:
    """Where such environments come from.

    Args: `made`: makes one, bare; `randomizer`: finds the function that comes with it, of the form that `OfMany` takes,
      or raises ConfigError; without it that is the environment's method `domain_randomize`. `known`: more of `Source`.
    """
    return Source(name, of, partial(_made, made, randomizer), film=partial(_film, made), **known)


def _made(
    made: Callable[[EnvConfig], Any],
    randomizer: Callable[[], Any] | None,
    config: EnvConfig,
    *,
    stagger: bool,
    randomize: Randomize | bool | None,
) -> Env:
    require_32_bits(config.env)
    if randomize is OWN and randomizer is not None:
        randomize = OfMany(randomizer())
    env = made(config)
    if randomize is OWN:
        randomize = OfMany(_randomizer(env, config))
    model = _model(env, config, randomize)
    simulator = Simulator(partial(_reset, model), partial(_step, model), Continuous(model.env.action_size))
    return copies(simulator, config, stagger)


def _randomizer(env: Any, config: EnvConfig) -> Callable[..., Any]:
    if not callable(getattr(env, RANDOMIZER, None)):
        raise ConfigError(
            f"{config.env} brings no domain randomisation: an environment of Brax's kind has it as a method "
            f"{RANDOMIZER}(model, keys [N]) -> (models, in_axes); softrl.train(randomize=...) takes a function"
        )
    return getattr(env, RANDOMIZER)


def _model(env: Any, config: EnvConfig, randomize: Randomize | None = None) -> "Model":
    bare = getattr(env, "unwrapped", env)
    held = next((name for name in MODELS if hasattr(bare, name)), None)
    if randomize is not None and held is None:
        raise ConfigError(f"domain randomisation redraws {' or '.join(MODELS)}, and {type(env).__name__} has none")
    nominal = None if held is None else getattr(bare, held)
    draw = None if randomize is None else draws(randomize, nominal)
    return Model(env, held, nominal, config.action_repeat, draw)


class Model(NamedTuple):
    """What a simulator is made of; its state is `(state, key)`, or `(state, drawn)` where its model is redrawn. Static.

    env: bare, of Brax's kind (MuJoCo Playground's too), without any of its wrappers. held: under which name, see
    `MODELS`, it has its model; nominal: that as shipped. action_repeat: physics steps an action; rewards add up until
    the robot falls. draw: redraws parts of the model for every episode, see `draws`: the state keeps those and no more,
    so that thousands of environments do not hold thousands of models.
    """

    env: Any
    held: str | None
    nominal: Any
    action_repeat: int
    draw: Callable[[jax.Array], dict[str, jax.Array]] | None


def _reset(model: Model, key: jax.Array, index: jax.Array):
    # Brax's own code splits and reshapes legacy keys; typed ones stop here.
    legacy = jax.random.key_data(key)
    own = legacy if model.draw is None else _draw(model, key)
    with _system(model, own):
        state = model.env.reset(legacy)
    return (state, own), state.obs


def _step(model: Model, sim, action: jax.Array):
    state, own = sim
    with _system(model, own):
        new = model.env.step(state, action)
        reward, fallen = new.reward, new.done > 0.5
        if model.action_repeat > 1:
            (new, reward, fallen), _ = jax.lax.scan(
                partial(_again, model.env, action), (new, reward, fallen), None, length=model.action_repeat - 1
            )
    return (new, own), new.obs, reward, fallen


def _again(env: Any, action: jax.Array, carry, _):
    """One more physics step of the same action, unless the robot has fallen."""
    state, reward, fallen = carry
    # Playground writes into the dictionaries of the state that it is given.
    stepped = env.step(jax.tree.map(lambda x: x, state), action)
    state = jax.tree.map(lambda new, old: jnp.where(fallen, old, new), stepped, state)
    return (state, reward + jnp.where(fallen, 0.0, stepped.reward), fallen | (stepped.done > 0.5)), None


def _draw(model: Model, key: jax.Array) -> dict[str, jax.Array]:
    with jax.numpy_rank_promotion("allow"):
        return model.draw(key)


@contextlib.contextmanager
def _system(model: Model, own: Any) -> Iterator[None]:
    """While its code traces: relaxed broadcasting, and the episode's own model where one was asked for."""
    with jax.numpy_rank_promotion("allow"):
        if model.draw is None:
            yield
            return
        bare = getattr(model.env, "unwrapped", model.env)
        setattr(bare, model.held, redrawn(model.nominal, own))
        try:
            yield
        finally:
            setattr(bare, model.held, model.nominal)


def _film(made: Callable[[EnvConfig], Any], act: Callable, config: EnvConfig, *, seed: int, steps: int) -> Motion:
    """One episode, a pose an action, which ends sooner than `steps` where the robot falls."""
    env = made(config)
    system = getattr(env, "sys", None)
    body = getattr(env, "mj_model", None) if system is None else getattr(system, "mj_model", None)
    if body is None:
        raise ConfigError(f"{config.env} has no body to film: it has neither sys, Brax's model of one, nor mj_model")
    model = _model(env, config)

    def step(carry, _):
        sim, obs = carry
        sim, obs, _, fallen = _step(model, sim, act(obs))
        return (sim, obs), (_poses(sim[0]), fallen)

    @jax.jit
    def episode(key):
        first = _reset(model, key, jnp.int32(0))
        return _poses(first[0][0]), jax.lax.scan(step, first, None, length=steps)[1]

    first, (poses, fallen) = jax.device_get(episode(jax.random.key(seed)))
    length = int(fallen.argmax()) + 1 if fallen.any() else steps
    pos, rot = (np.concatenate([one[None], more[:length]]) for one, more in zip(first, poses, strict=True))
    return Motion(body, pos, rot, 1.0 / float(env.dt * config.action_repeat), system)


def _poses(state: Any) -> tuple[jax.Array, jax.Array]:
    """Frames of a state's bodies but the world, as of `Motion`."""
    if hasattr(state, "pipeline_state"):
        return state.pipeline_state.x.pos, state.pipeline_state.x.rot
    return state.data.xpos[1:], state.data.xquat[1:]
