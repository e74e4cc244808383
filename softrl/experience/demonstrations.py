"""Demonstrations from a file: `.npz` with the keys of D4RL, of Minari, or of another library that is known here."""

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from softrl.envs import boxes
from softrl.errors import BatchError, ConfigError, TensorError
from softrl.experience.adapters import ADAPTERS, adapted, renamed
from softrl.experience.batches import Rows, checked_rows
from softrl.numpy_policy import nested
from softrl.storage import durable
from softrl.tensors import named
from softrl.types import EnvSpec, Spec, Transition


def read(path: str | Path, spec: Spec | EnvSpec) -> Rows:
    """The transitions of a file of demonstrations, `[D, ...]`, actions in [−1, 1].

    Args:
      path: of an `.npz` with D4RL's keys (`observations`, `actions`, `next_observations`, `terminals`, optional
        `timeouts`), Minari's (`observations` of one row more, `actions`, `terminations`, optional `truncations`; one
        episode, or several of one length on a leading axis), or softrl's own. An entry of a dictionary observation is
        `observations/NAME`. Rewards need not be there and are not read.
      spec: what observations and actions must be; actions are given within its bounds, discrete ones as 0 … n − 1.
    Raises: ConfigError: no such file, unknown keys, or rows that do not fit; it says what was expected.
    """
    try:
        arrays = nested({tuple(name.split("/")): array for name, array in _loaded(path).items()})
    except TensorError as error:
        raise ConfigError(f"{path}: {error}") from None
    names = _library(path, arrays)
    theirs = None if names == "softrl" else ADAPTERS[names]
    obs, action, reward = ("obs", "action", "reward") if theirs is None else theirs[:3]
    try:
        episodes = _episodes(arrays, spec, action, flat=theirs is None or theirs.next_obs is not None)
        rows = [_rows(episode, names, obs, action, reward, spec) for episode in episodes]
    except BatchError as error:
        raise ConfigError(f"{path}, {renamed(error, names)}") from None
    return Rows(*jax.tree.map(lambda *parts: np.concatenate(parts), *rows))


def write(path: str | Path, rows: Transition, spec: Spec | EnvSpec) -> int:
    """A file that `read` reads, with D4RL's keys, of the valid rows of episodes `[T, E, ...]`, one after the other.

    Args: `rows`: in NumPy, actions in [−1, 1]; the file has them within the robot's own bounds.
    Returns: how many rows. Raises: ConfigError for observations that are no arrays or dictionaries of such.
    """
    kept = np.swapaxes(rows.valid, 0, 1)
    rows = jax.tree.map(lambda x: np.swapaxes(x, 0, 1)[kept], rows)
    flags = {"rewards": rows.reward, "terminals": rows.terminated, "timeouts": rows.truncated}
    actions = boxes.own(spec.action, rows.action)
    arrays = named({"actions": actions, "observations": rows.obs, "next_observations": rows.next_obs})
    for name, x in arrays.items():
        if not isinstance(x, np.ndarray):
            raise ConfigError(
                f"{path}: a file has arrays by name, and {name} are a {type(x).__name__}: use a dictionary"
            )
    content = io.BytesIO()
    np.savez_compressed(content, **arrays, **flags)
    with durable.explained("write", Path(path)):
        durable.write_atomically(Path(path), content.getvalue())
    return len(rows.reward)


def _loaded(path: str | Path) -> dict[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except (OSError, ValueError, AttributeError, TypeError, zipfile.BadZipFile) as error:
        said = "there is no such file" if isinstance(error, FileNotFoundError) else f"it cannot be read ({error})"
        raise ConfigError(f"demonstrations {str(path)!r}: {said}; expected an .npz of arrays") from None


def _library(path: str | Path, arrays: Mapping[str, Any]) -> str:
    """Whose keys they are: the flag that says where values end tells libraries apart."""
    for names, flag in (("d4rl", "terminals"), ("minari", "terminations"), ("softrl", "terminated")):
        if flag in arrays:
            return names
    raise ConfigError(
        f"{path}: expected D4RL's keys (observations, actions, next_observations, terminals) or Minari's (observations "
        f"of one row more, actions, terminations), got {', '.join(arrays) or 'none'}"
    )


def _episodes(arrays: dict[str, Any], spec: Spec | EnvSpec, action: str, *, flat: bool) -> list[dict[str, Any]]:
    """The arrays of each episode; all of them in one where successors are given."""
    if flat or np.ndim(arrays.get(action)) != len(spec.action.shape) + 2:
        return [arrays]
    many = {name: tree for name, tree in arrays.items() if all(np.ndim(x) for x in jax.tree.leaves(tree))}
    return [jax.tree.map(lambda x, e=e: x[e], many) for e in range(len(arrays[action]))]


def _rows(given: dict[str, Any], names: str, obs: str, action: str, reward: str, spec: Spec | EnvSpec) -> Rows:
    if action in given:
        given = given | {reward: np.zeros(len(given[action]), np.float32)}
    return checked_rows(spec, adapted(given, names))
