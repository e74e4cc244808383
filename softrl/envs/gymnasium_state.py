"""A Gymnasium environment as bytes, where all that it is can be known: physics, time limit, random generator.

Known are Gymnasium's own MuJoCo robots, and environments that tell it themselves: their `get_state()` gives an array
or a tuple of arrays, of the same shapes at any time, and `set_state(*arrays)` takes them back. A robot derived from
one of Gymnasium's, or a wrapper, may keep anything in Python: without `get_state` such a one is not known.
"""

from typing import Any

import numpy as np

from softrl.errors import ConfigError

_STANDARD = {"TimeLimit", "OrderEnforcing", "PassiveEnvChecker"}
"""What `gymnasium.make` puts around an environment."""

_COMPUTED = ("efc_", "iefc_", "efm_", "iacc", "ifrc_", "map_", "island_", "dof_island", "tree_island", "tendon_efcadr")
"""Prefixes of MuJoCo's arrays that are sized by contacts and that every step computes first."""


def is_gymnasiums(env: Any, *packages: str) -> bool:
    """Whether an environment is of Gymnasium's own `packages`, by its type, not wrapped, nor limited twice."""
    wrappers = _layers(env)[:-1]
    standard = all(type(layer).__name__ in _STANDARD and _is_of(layer, "wrappers") for layer in wrappers)
    once = sum(type(layer).__name__ == "TimeLimit" for layer in wrappers) <= 1
    return standard and once and any(_is_of(env.unwrapped, f"envs.{package}") for package in packages)


def size(env: Any) -> int:
    """Bytes of a snapshot; 0 where not all of it is known. Args: `env`: one that was reset."""
    known = _teller(env) is not None or is_gymnasiums(env, "mujoco")
    whole = known and type(env.unwrapped.np_random.bit_generator) is np.random.PCG64 and time_limit(env) is not None
    try:
        return len(read(env)) if whole else 0
    except (TypeError, ValueError):  # its get_state means something else
        return 0


def read(env: Any) -> np.ndarray:
    """The snapshot `uint8[S]`. Args: `env`: a Gymnasium environment that was reset."""
    generator = env.unwrapped.np_random.bit_generator.state
    state, inc = (divmod(generator["state"][part], 2**64) for part in ("state", "inc"))
    words = [*state, *inc, generator["has_uint32"], generator["uinteger"], time_limit(env)._elapsed_steps]
    arrays = [np.asarray(words, np.uint64), *_arrays(env)]
    return np.concatenate([np.ascontiguousarray(array).reshape(-1).view(np.uint8) for array in arrays])


def write(env: Any, snapshot: np.ndarray) -> None:
    """Puts an environment that was reset back to a snapshot."""
    generator = env.unwrapped.np_random.bit_generator
    words = [int(word) for word in snapshot[: 7 * 8].view(np.uint64)]
    generator.state = {
        "bit_generator": type(generator).__name__,
        "state": {"state": words[0] << 64 | words[1], "inc": words[2] << 64 | words[3]},
        "has_uint32": words[4],
        "uinteger": words[5],
    }
    time_limit(env)._elapsed_steps = words[6]
    now = _arrays(env)
    ends = 7 * 8 + np.cumsum([array.nbytes for array in now])
    parts = np.split(np.ascontiguousarray(snapshot), [7 * 8, *ends])[1:-1]
    told = [part.copy().view(array.dtype).reshape(array.shape) for part, array in zip(parts, now, strict=True)]
    teller = _teller(env)
    if teller is not None:
        teller.set_state(*told)
        return
    env.unwrapped.data.time = float(told[0])
    for array, value in zip(now[1:], told[1:], strict=True):
        array[...] = value


def require_size(env: Any, snapshot: np.ndarray, size: int) -> np.ndarray:
    """The snapshot. Raises: ConfigError where an environment's own arrays have other sizes than at first."""
    if len(snapshot) != size:
        raise ConfigError(
            f"get_state() of {type(env.unwrapped).__name__} must always give arrays of the same shapes; together they "
            f"had {size} bytes and now have {len(snapshot)}"
        )
    return snapshot


def time_limit(env: Any) -> Any:
    """Gymnasium's wrapper that cuts episodes; None where there is none."""
    both = ("_elapsed_steps", "_max_episode_steps")
    return next((layer for layer in _layers(env)[:-1] if all(hasattr(layer, name) for name in both)), None)


def physics(env: Any) -> Any:
    """MuJoCo's data of a Gymnasium environment; None for another kind of environment."""
    data = getattr(env.unwrapped, "data", None)
    return data if type(data).__name__ == "MjData" else None


def _layers(env: Any) -> list[Any]:
    """An environment's wrappers from the outermost on, and the environment itself."""
    layers = [env]
    while layers[-1] is not env.unwrapped:
        layers.append(layers[-1].env)
    return layers


def _is_of(layer: Any, package: str) -> bool:
    return type(layer).__module__.startswith(f"gymnasium.{package}.")


def _teller(env: Any) -> Any:
    """The outermost layer that says itself what it is."""
    both = ("get_state", "set_state")
    return next((layer for layer in _layers(env) if all(hasattr(type(layer), name) for name in both)), None)


def _arrays(env: Any) -> list[np.ndarray]:
    """What an environment says that it is; of a MuJoCo robot the time, and every array whose size the model fixes.

    Not only positions and velocities: some robots' rewards read quantities that lag one physics step behind them.
    """
    teller = _teller(env)
    if teller is not None:
        state = teller.get_state()
        arrays = [np.asarray(array) for array in (state if isinstance(state, tuple) else (state,))]
        if any(array.dtype.kind not in "biuf" for array in arrays):
            raise TypeError("get_state gave no numbers")
        return arrays
    data = physics(env)
    found = [getattr(data, name) for name in dir(data) if not name.startswith(("_", *_COMPUTED))]
    return [np.asarray(data.time), *(array for array in found if isinstance(array, np.ndarray) and array.size)]
