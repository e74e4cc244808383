"""Every kind of environment, in one table; names and objects as sources of environments."""

import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

from softrl.envs import brax, envpool, gymnasium, gymnax, playground
from softrl.envs.classics import CLASSICS
from softrl.envs.config import EnvConfig
from softrl.envs.host import HostEnv
from softrl.envs.modules import attribute
from softrl.envs.probes import PROBES
from softrl.envs.source import Source, called, simulated, spelled
from softrl.errors import ConfigError, suggestion
from softrl.types import Env, Simulator


class Family(NamedTuple):
    """Environments that share the first part of their names.

    known: their names, as `softrl envs` lists them. source: `(name, env_kwargs) -> Source`, None for a name that there
    is not. physics: whether `EnvConfig.backend` is a choice of physics, which belongs in a title. packages: whose
    versions a run records.
    """

    known: tuple[str, ...]
    source: Callable[[str, dict[str, Any]], Source | None]
    physics: bool = False
    packages: tuple[str, ...] = ()


def _probe(name: str, kwargs: dict[str, Any]) -> Source | None:
    if name not in PROBES:
        return None
    full = f"probe/{name}"
    return simulated(full, full, lambda config: called(full, PROBES[name], kwargs))


def _classic(name: str, kwargs: dict[str, Any]) -> Source | None:
    if name not in CLASSICS:
        return None
    full, (make, time_limit) = f"classic/{name}", CLASSICS[name]
    return simulated(full, full, lambda config: called(full, make, kwargs), time_limit=time_limit)


def _gone(name: str, kwargs: dict[str, Any]) -> Source | None:
    raise ConfigError(f"own/{name} was an object of another process, so its name alone is not enough: give it as env=")


FAMILIES: Mapping[str, Family] = {
    "brax": Family(brax.ROBOTS, brax.source, True, ("brax", "mujoco", "mujoco-mjx")),
    "playground": Family(playground.KNOWN, playground.source, True, ("playground", "mujoco", "mujoco-mjx")),
    "gym": Family(gymnasium.KNOWN, gymnasium.source, packages=("gymnasium", "mujoco")),
    "envpool": Family(envpool.KNOWN, envpool.source, packages=("envpool",)),
    "classic": Family(tuple(CLASSICS), _classic),
    "probe": Family(tuple(PROBES), _probe),
    "own": Family((), _gone),
}
"""First part of a name -> what it means. `own/…` are objects that were given without a name."""

_REGISTERED: dict[str, Any] = {}
"""Names of this process's own, see `register`."""

_FUNCTION = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*")
_GYMNASIUM = re.compile(r"([\w.]+:)?[\w./-]+-v\d+")


def names() -> list[str]:
    """Every environment with a name, in reading order; those that `register` added last."""
    return [f"{first}/{name}" for first, family in FAMILIES.items() for name in family.known] + list(_REGISTERED)


def packages() -> list[str]:
    """Packages that environments come from."""
    return list(dict.fromkeys(package for family in FAMILIES.values() for package in family.packages))


def physics(env: str, backend: str) -> str:
    """The backend, where it says by what physics the environment of this name moves; otherwise an empty string."""
    family = FAMILIES.get(env.partition("/")[0])
    return backend if family is not None and family.physics else ""


def register(name: str, env: Any) -> None:
    """Gives an environment a name of one's own, for this process: `register("mine/point", make_env)`.

    Args: `name`: two words with a slash, the first no family's; `env`: anything that `softrl.train` takes as `env`.
    Raises: ConfigError: a name that there is already, or that could be something else.
    """
    first, slash, rest = name.partition("/")
    if first in FAMILIES or not (first and slash and rest) or ":" in name:
        raise ConfigError(
            f"a name of your own has two parts, as mine/point, the first none of {', '.join(FAMILIES)}; got {name!r}"
        )
    _REGISTERED[name] = env


def registered(name: str) -> bool:
    """Whether `register` has given something this name in this process."""
    return name in _REGISTERED


def found(env: Any, kwargs: dict[str, Any] | None = None) -> Source:
    """The source of environments that a name or an object stands for.

    Args:
      env: a name, as `EnvConfig.env` has it, or Gymnasium's id; a `Simulator`; an environment of Brax's kind; one in
        gymnax's manner, alone or with its parameters, `(env, params)`; a function that makes any of these or one
        environment of Gymnasium's.
      kwargs: for whatever makes it.
    Raises: ConfigError: nothing that there is, with the nearest known name.
    """
    if isinstance(env, Source):
        return env
    kwargs = kwargs or {}
    if not isinstance(env, str):
        path = _path(env)
        return _own(env, kwargs) if path is None else _lasting(path, env, kwargs)
    if env in _REGISTERED:
        return _own(_REGISTERED[env], kwargs)._replace(name=env, lasting=False, kwargs=None)
    first, slash, rest = env.partition("/")
    if slash and rest and first in FAMILIES:
        source = FAMILIES[first].source(rest, kwargs)
        if source is not None:
            return source
    elif _FUNCTION.fullmatch(env):
        return _lasting(env, attribute(env), kwargs)
    elif _GYMNASIUM.fullmatch(env):
        return gymnasium.source(env, kwargs)
    raise ConfigError(f"unknown environment {env!r}{suggestion(env, names())}; see `softrl envs`")


def _path(thing: Any) -> str | None:
    """`module:name` of a function or class that any process can import by it; None for all else."""
    module, name = getattr(thing, "__module__", None), getattr(thing, "__qualname__", None)
    if name is None or module in (None, "__main__") or not _FUNCTION.fullmatch(f"{module}:{name}"):
        return None
    there: Any = sys.modules.get(module)
    for part in name.split("."):
        there = getattr(there, part, None)
    return f"{module}:{name}" if there is thing else None


def _lasting(path: str, env: Any, kwargs: dict[str, Any]) -> Source:
    """What `module:name` stands for, which any process finds again."""
    return _own(env, kwargs)._replace(name=path, of=path, lasting=True, backend=None, kwargs=None)


def _own(env: Any, kwargs: dict[str, Any]) -> Source:
    """An object of the user's, or what a function of the user's makes."""
    if isinstance(env, str):
        return found(env, kwargs)
    function = env if isinstance(env, type) or (callable(env) and not hasattr(env, "reset")) else None
    if function is None:
        source = _object(env)
        if kwargs not in ({}, source.kwargs):
            raise ConfigError(
                f"env_kwargs are for what makes an environment, and {spelled(env)} is one already: {kwargs}"
            )
        return source
    made = called(spelled(function), function, kwargs)
    if isinstance(made, str):
        return found(made)
    source = _object(made, partial(function, **kwargs))
    # A name whose own arguments are not `env_kwargs`, which are the function's, does not find the same again.
    return source._replace(kwargs=None, lasting=source.lasting and not source.kwargs)


def _object(env: Any, function: Callable[..., Any] | None = None) -> Source:
    """An environment that is made already. Args: `function`: what made it, if one did."""
    params = None
    if isinstance(env, tuple) and len(env) == 2 and gymnax.is_alike(env[0]):
        env, params = env
    of = spelled(env)
    if isinstance(env, Simulator):
        of = spelled(env.step)
        return simulated(f"own/{of.rpartition('.')[2].strip('<>')}", of, lambda config: env, lasting=False)
    if gymnax.is_alike(env):
        return gymnax.source_of(env, params, of)
    made = not isinstance(env, type) and hasattr(env, "reset") and hasattr(env, "step")
    if made and hasattr(env, "action_size"):
        return brax.source_of(env, of)
    if made and hasattr(env, "action_space") and hasattr(env, "observation_space"):
        return _gymnasium(function, env)
    raise ConfigError(
        "env must be a name, a softrl.Simulator, an environment of Brax's, MuJoCo Playground's or gymnax's kind, or a "
        f"function that makes one of these or a Gymnasium environment; got {_short_of(env, of, function)}"
    )


def _short_of(env: Any, of: str, function: Callable[..., Any] | None) -> str:
    """What is no environment, and what of Gymnasium's it lacks where it has some."""
    missing = [name for name in ("reset", "step", "action_space", "observation_space") if not hasattr(env, name)]
    lacks = f" without {', '.join(missing)}" if 0 < len(missing) < 4 else ""
    made = "" if function is None else f", made by {spelled(getattr(function, 'func', function))}"
    return f"{of}{lacks}{made}"


def _gymnasium(function: Callable[..., Any] | None, env: Any) -> Source:
    kind = type(getattr(env, "unwrapped", env))
    if not isinstance(env, gymnasium.library().Env) and not hasattr(env, "num_envs"):
        raise ConfigError(f"{spelled(kind)} must inherit from gymnasium.Env; one of gym's can be wrapped by shimmy")
    if function is None:
        raise ConfigError(
            f"softrl makes {kind.__name__} more than once, to train and to evaluate: give a function that makes one, "
            "env=lambda: …, or its id"
        )
    source = gymnasium.source_of(function, env, f"own/{kind.__name__}", spelled(kind))
    another = function()
    if another.unwrapped is env.unwrapped:
        raise ConfigError(
            f"{spelled(function)} gives the same {kind.__name__} at every call, which training and evaluation would "
            "step in turns: let it make a new one"
        )
    another.close()
    env.close()
    return source._replace(lasting=False)


def make_env(
    config: EnvConfig, env: Any = None, *, num_envs: int | None = None, stagger: bool = True, randomize: Any = None
) -> Env | HostEnv:
    """The environments of a config; those on the host are `HostEnv`s.

    Args:
      config: which.
      env: in place of the one that `config` names, see `found`.
      num_envs: instead of `config.num_envs`, for example for evaluation.
      stagger: see `episodes`.
      randomize: domain randomisation, `(key, model) -> model`, of the model of an environment of Brax's or MuJoCo
        Playground's kind for every episode; `OWN`: by what comes with it. `config.domain_randomization` is for those
        who train (`softrl.training.assemble`).
    Raises: ConfigError: unknown name, with the nearest known one.
    """
    source = found(config.env if env is None else env, config.kwargs)
    config = replace(config, env=source.name, num_envs=num_envs or config.num_envs)
    return source.make(config, stagger=stagger, randomize=randomize)
