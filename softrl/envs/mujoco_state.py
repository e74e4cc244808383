"""All that one of Gymnasium's MuJoCo robots is, as bytes: physics, time limit, random generator.

Not only positions and velocities: some robots' rewards read quantities that lag one physics step behind them, so
every array of MuJoCo's data whose size the model fixes is kept. What depends on contacts is computed anew each step.
"""

from typing import Any

import numpy as np

_COMPUTED = ("efc_", "iefc_", "efm_", "iacc", "ifrc_", "map_", "island_", "dof_island", "tree_island", "tendon_efcadr")
"""Prefixes of arrays that are sized by contacts and that every step computes first."""


def size(env: Any) -> int:
    """Bytes of a snapshot; 0 for an environment that is not a MuJoCo robot with a time limit and a random generator."""
    return 0 if _limit(env) is None or not _fields(env) else len(read(env))


def read(env: Any) -> np.ndarray:
    """The snapshot `uint8[S]`. Args: `env`: a Gymnasium environment that was reset."""
    generator = env.unwrapped.np_random.bit_generator.state
    state, inc = (divmod(generator["state"][part], 2**64) for part in ("state", "inc"))
    words = [*state, *inc, generator["has_uint32"], generator["uinteger"], _limit(env)._elapsed_steps]
    arrays = [np.asarray(words, np.uint64), np.float64([env.unwrapped.data.time]), *_fields(env).values()]
    return np.concatenate([np.ascontiguousarray(array).reshape(-1).view(np.uint8) for array in arrays])


def write(env: Any, snapshot: np.ndarray) -> None:
    """Puts a robot that was reset back to a snapshot."""
    generator = env.unwrapped.np_random.bit_generator
    words = [int(word) for word in snapshot[: 7 * 8].view(np.uint64)]
    generator.state = {
        "bit_generator": type(generator).__name__,
        "state": {"state": words[0] << 64 | words[1], "inc": words[2] << 64 | words[3]},
        "has_uint32": words[4],
        "uinteger": words[5],
    }
    _limit(env)._elapsed_steps = words[6]
    env.unwrapped.data.time = float(snapshot[56:64].view(np.float64)[0])
    offset = 64
    for array in _fields(env).values():
        part = np.ascontiguousarray(snapshot[offset : offset + array.nbytes])
        array[...] = part.view(array.dtype).reshape(array.shape)
        offset += array.nbytes


def physics(env: Any) -> Any:
    """MuJoCo's data of a Gymnasium environment; None for another kind of environment."""
    data = getattr(env.unwrapped, "data", None)
    return data if type(data).__name__ == "MjData" else None


def _limit(env: Any) -> Any:
    """The wrapper that counts an episode's steps."""
    while env is not env.unwrapped:
        if hasattr(env, "_elapsed_steps"):
            return env
        env = env.env
    return None


def _fields(env: Any) -> dict[str, np.ndarray]:
    """MuJoCo's arrays by name, in alphabetical order; none for another kind of environment."""
    data = physics(env)
    if data is None:
        return {}
    arrays = {name: getattr(data, name) for name in dir(data) if not name.startswith(("_", *_COMPUTED))}
    return {name: array for name, array in arrays.items() if isinstance(array, np.ndarray) and array.size}
