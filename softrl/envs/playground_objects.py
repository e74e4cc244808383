"""Objects of MuJoCo Playground's: which of its robots one is, and with what values of its config."""

import functools
import importlib
import json
from dataclasses import replace
from typing import Any

import jax
import numpy as np

from softrl.envs import playground
from softrl.envs.config import EnvConfig
from softrl.envs.quiet import quiet
from softrl.envs.source import Source
from softrl.errors import ConfigError

LIBRARY = "mujoco_playground."
SUITES = ("dm_control_suite", "locomotion", "manipulation")


def source_of(env: Any) -> Source | None:
    """The robot that an object is, the same as by its name and `env_kwargs`; None for any other object.

    A class may be several robots (WalkerRun and WalkerWalk), and the values of its config may be others than shipped.
    An object is the robot that has the same numbers when it is made anew with the object's config. softrl makes its own
    then, whose physics is MJX in JAX: Playground's default, MuJoCo Warp, is refused by softrl.
    """
    if not type(env).__module__.startswith(LIBRARY):
        return None
    for name in playground.KNOWN:
        kwargs = _arguments(name, env) if type(env) is _kind(name) else None
        source = None if kwargs is None else playground.source(name, kwargs, make=_in_jax)
        if source is not None:
            return source._replace(backend="jax", kwargs=kwargs)
    return None


def require_jax(env: Any) -> None:
    """Raises: ConfigError for an object of Playground's kind, one of a user's own say, whose model is MuJoCo Warp's."""
    impl = getattr(getattr(env, "_mjx_model", None), "impl", None)
    if getattr(impl, "value", impl) == "warp":
        raise ConfigError(
            f"{type(env).__name__} moves by MuJoCo Warp, whose contacts are one list for all environments, which "
            "softrl cannot reset one by one: make it with impl 'jax' in its config"
        )


def _in_jax(name: str, kwargs: dict[str, Any], config: EnvConfig) -> Any:
    """`make_playground`, also where the config's backend is another kind's: an object has its own."""
    return playground.make_playground(name, kwargs, replace(config, backend="jax"))


def _kind(name: str) -> Any:
    """A robot's class; None where this version of Playground does not have it."""
    suites = (importlib.import_module(f"mujoco_playground._src.{suite}") for suite in SUITES)
    kind = next((suite._envs[name] for suite in suites if name in suite._envs), None)
    return kind.func if isinstance(kind, functools.partial) else kind


def _arguments(name: str, env: Any) -> dict[str, Any] | None:
    """The `env_kwargs` with which a robot is the same as an object; None where there are none.

    Compared with a robot that is made, not with the config of which it is: some write into theirs.
    """
    try:
        shipped = _made_as(name, env, {})
        before, mine = _flat(shipped._config), _flat(env._config)
        differ = {at: value for at, value in mine.items() if at not in before or value != before[at]}
        kwargs = json.loads(json.dumps(differ))
        its = _made_as(name, env, kwargs) if kwargs else shipped
        alike = json.dumps(_flat(its._config)) == json.dumps(mine) and _same(vars(env), vars(its))
    except (ConfigError, TypeError, ValueError):  # a value that JSON or a robot's config cannot have
        return None
    return kwargs if alike else None


def _made_as(name: str, env: Any, kwargs: dict[str, Any]) -> Any:
    """A robot in an object's physics, with other values of its own config."""
    registry = playground.library()
    its = registry.get_default_config(name)
    playground.replace_values(name, its, kwargs)
    for ours in playground.OURS:
        if ours in its and ours in env._config:
            its[ours] = env._config[ours]
    with quiet(prints=True), jax.numpy_rank_promotion("allow"):
        return registry.load(name, config=its)


def _same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    mine, its = jax.tree.leaves(one), jax.tree.leaves(other)
    return len(mine) == len(its) and all(map(_equal, mine, its))


def _equal(one: Any, other: Any) -> bool:
    if type(one) is not type(other):
        return False
    if isinstance(one, jax.Array | np.ndarray | np.generic | bool | int | float | str):
        one, other = np.asarray(one), np.asarray(other)
        return (one.dtype, one.shape, one.tobytes()) == (other.dtype, other.shape, other.tobytes())
    return getattr(one, "__qualname__", None) == getattr(other, "__qualname__", None)  # of methods: CartpoleBalance


def _flat(config: Any, before: str = "") -> dict[str, Any]:
    """Values by dotted names, but for those that `EnvConfig` has under its own."""
    flat: dict[str, Any] = {}
    for name in sorted(config):
        value = config[name]
        if not before and name in playground.OURS:
            continue
        inner = hasattr(value, "items")
        flat |= _flat(value, f"{before}{name}.") if inner else {f"{before}{name}": value}
    return flat
