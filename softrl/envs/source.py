"""An environment that is known but not made yet: what `softrl train ENV` or `env=ENV` stands for."""

import inspect
from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any, NamedTuple

import jax
import numpy as np

from softrl.envs import boxes
from softrl.envs.config import EnvConfig
from softrl.envs.episodes import episodes
from softrl.errors import ConfigError
from softrl.types import Env, Simulator


class Source(NamedTuple):
    """Where environments come from.

    name: as `EnvConfig.env` has it. of: what it is, `module.Class` or such: two sources of one name may differ.
    make: `(config, stagger=, randomize=) -> Env | HostEnv`. on_host: whether they live outside of XLA.
    lasting: whether the name alone finds it again in another process. time_limit: its own, in steps, if it has one.
    film: `(act, config, seed=, steps=) -> Motion | Frames`, with `act` in JAX from one observation to an action, on the
    host `obs [1, ...] -> action [1, ...]` in NumPy. Raises ConfigError where there is nothing to see.
    backend, kwargs: what `EnvConfig.backend` and `env_kwargs` must be for the name to find the same again; None: any.
    prefers: other fields of `EnvConfig` as its makers have them, which presets take.
    """

    name: str
    of: str
    make: Callable[..., Any]
    on_host: bool = False
    lasting: bool = True
    time_limit: int | None = None
    film: Callable[..., Any] | None = None
    backend: str | None = None
    kwargs: dict[str, Any] | None = None
    prefers: Mapping[str, Any] = MappingProxyType({})


def found_by(source: Source) -> dict[str, Any]:
    """Fields of `EnvConfig` by which the same is found again: an object knows some of them itself."""
    own = {"env": source.name, "backend": source.backend, "env_kwargs": source.kwargs}
    return {name: value for name, value in own.items() if value is not None}


class Motion(NamedTuple):
    """An episode's poses. model: `mujoco.MjModel`. pos: `[T, L, 3]`, rot: `[T, L, 4]` (w, x, y, z), frames of its L
    bodies but the world. fps: of them a second. system: Brax's, for its own viewer."""

    model: Any
    pos: np.ndarray
    rot: np.ndarray
    fps: float
    system: Any = None


class Frames(NamedTuple):
    """An episode as its environment draws it. pictures: `[T, H, W, 3]` uint8. fps: of them a second."""

    pictures: np.ndarray
    fps: float


def simulated(name: str, of: str, simulator: Callable[[EnvConfig], Simulator], **more: Any) -> Source:
    """A source whose environments are a simulator in JAX."""
    return Source(name, of, partial(_episodes, simulator), **more)


def _episodes(simulator: Callable[[EnvConfig], Simulator], config: EnvConfig, *, stagger: bool, randomize: Any) -> Env:
    require_plain(config, randomize)
    require_32_bits(config.env)
    return copies(simulator(config), config, stagger)


def _require_sound(simulator: Simulator, name: str) -> None:
    """Raises: ConfigError where a user's functions do not fit together, of which XLA would speak in riddles."""
    kind = simulator.action
    boxes.require_sound(name, kind)
    first = _given(name, "reset(key, index)", ("sim", "obs"), simulator.reset, jax.random.key(0), np.int32(0))
    action = jax.ShapeDtypeStruct(kind.shape, kind.dtype)
    after = _given(name, "step(sim, action)", ("sim", "obs", "reward", "terminated"), simulator.step, first[0], action)
    sim, obs = first
    for what, one, other in (("state", sim, after[0]), ("observation", obs, after[1])):
        before, now = (_leaves(f"the {what}", tree) for tree in (one, other))
        differ = [leaf for leaf in before | now if before.get(leaf) != now.get(leaf)]
        if differ:
            leaf, more = differ[0], f" (and {len(differ) - 1} more such)" if len(differ) > 1 else ""
            raise ConfigError(
                f"{name}: {leaf} is {before.get(leaf, 'missing')} after reset and {now.get(leaf, 'missing')} after "
                f"step{more}: make them alike"
            )
    seen = jax.tree.leaves(obs)
    if not seen or not all(leaf.size for leaf in seen):
        raise ConfigError(f"{name}: each part of an observation must hold a number, got {_leaves('obs', obs)}")
    reward, terminated = after[2:]
    if reward.shape != () or terminated.shape != () or terminated.dtype != np.bool_:
        raise ConfigError(
            f"{name}: step must return a reward and a bool terminated, both without axes; got {reward.dtype}"
            f"{list(reward.shape)} and {terminated.dtype}{list(terminated.shape)}"
        )


def _given(name: str, call: str, wanted: tuple[str, ...], function: Callable[..., Any], *arguments: Any) -> tuple:
    """What a user's function gives, abstract. Raises: ConfigError where it takes or gives other things."""
    try:
        inspect.signature(function).bind(*arguments)
    except TypeError as error:
        raise ConfigError(f"{name}: it is called as {call}, but {error}") from None
    given = jax.eval_shape(function, *arguments)
    if not isinstance(given, tuple | list) or len(given) != len(wanted):
        got = f"{len(given)} values" if isinstance(given, tuple | list) else "one"
        raise ConfigError(f"{name}: {call} must give ({', '.join(wanted)}), got {got}")
    return given


def _leaves(of: str, tree: Any) -> dict[str, str]:
    """What each array of a tree is, `float32[3]` say, by `of` and its path."""
    return {
        f"{of}{jax.tree_util.keystr(path)}": f"{leaf.dtype}{list(leaf.shape)}"
        for path, leaf in jax.tree.leaves_with_path(tree)
    }


def copies(simulator: Simulator, config: EnvConfig, stagger: bool) -> Env:
    """As many environments of a simulator as a config says, under the name that it has there."""
    # Each is traced once, however many programs reset and step it: of some robots that takes seconds.
    traced = (jax.jit(function, inline=True) for function in (simulator.reset, simulator.step))
    simulator = Simulator(*traced, simulator.action)
    _require_sound(simulator, config.env)
    # Beyond an episode every environment would begin twice alike.
    interval = min(config.reset_interval, config.episode_length)
    sizes = {"num_envs": config.num_envs, "episode_length": config.episode_length, "reset_interval": interval}
    return episodes(simulator, name=config.env, **sizes, stagger=stagger)


def require_32_bits(name: str) -> None:
    """Raises: ConfigError where JAX makes numbers of 64 bits, which simulators mix with those of 32."""
    if jax.config.jax_enable_x64:
        raise ConfigError(
            f"{name} is simulated in numbers of 32 bits, and JAX is set to 64: leave JAX_ENABLE_X64 out, or train "
            "inside of `with jax.enable_x64(False):`"
        )


def require_plain(config: EnvConfig, randomize: Any) -> None:
    """Raises: ConfigError where an environment is asked for what only those of Brax's kind can do."""
    if randomize is not None or config.action_repeat != 1:
        raise ConfigError(
            f"{config.env}: domain randomisation and action_repeat are for environments of Brax's and MuJoCo "
            "Playground's kind"
        )


def spelled(thing: Any) -> str:
    """`module.Name` of a class, a function or an object's class."""
    thing = getattr(thing, "func", thing)  # of functools.partial
    kind = thing if hasattr(thing, "__qualname__") else type(thing)
    return f"{kind.__module__}.{kind.__qualname__}"


def called(name: str, function: Callable[..., Any], kwargs: dict[str, Any]) -> Any:
    """What a user's function makes.

    Raises: ConfigError where it does not take `env_kwargs`. Its own errors are its own, with their traceback.
    """
    try:
        inspect.signature(function).bind(**kwargs)
    except TypeError as error:
        raise ConfigError(f"{name} cannot be made with the arguments {kwargs}: {error}") from None
    except ValueError:  # built in, without a signature
        pass
    try:
        return function(**kwargs)
    except TypeError as error:  # of what it hands them on to
        if "unexpected keyword argument" in str(error) and any(f"'{key}'" in str(error) for key in kwargs):
            raise ConfigError(f"{name} cannot be made with the arguments {kwargs}: {error}") from error
        raise
