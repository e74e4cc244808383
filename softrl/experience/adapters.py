"""Other libraries' names for a transition, as data, each flag with the meaning that its library gives it.

What matters is which steps end with zero continuation value. `dones` of Stable-Baselines3 are ends of any kind, and
`timeouts` say which of them were only cut; HIL-SERL's `masks` are 1 where the value goes on; LeRobot's `done` is what
its environment returned as terminated, `truncated` stands beside it; D4RL's `terminals` never hold a time limit.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from softrl.errors import BatchError, TensorError, require_known, suggestion
from softrl.numpy_policy import nested


class Names(NamedTuple):
    """One library's keys.

    obs, action, reward, next_obs: its keys. next_obs None: `obs` has one row more than the others, an episode's all.
    terminated: its key. inverted: 1 means that the value goes on. cut: a required key that takes `terminated` back
    where it is set. truncated: an optional key that says nothing about continuation and is only checked. ignored:
    other optional keys, left out.
    """

    obs: str
    action: str
    reward: str
    next_obs: str | None
    terminated: str
    inverted: bool = False
    cut: str | None = None
    truncated: str | None = None
    ignored: tuple[str, ...] = ()


_PLURAL = ("observations", "actions", "rewards", "next_observations")

ADAPTERS: dict[str, Names] = {
    "hil-serl": Names(*_PLURAL, terminated="masks", inverted=True, truncated="dones"),
    "lerobot": Names(
        "state", "action", "reward", "next_state", "done", truncated="truncated", ignored=("complementary_info",)
    ),
    "sb3": Names(*_PLURAL, terminated="dones", cut="timeouts", ignored=("infos",)),
    "d4rl": Names(*_PLURAL, terminated="terminals", truncated="timeouts", ignored=("infos", "metadata")),
    "minari": Names(
        *_PLURAL[:3], None, "terminations", truncated="truncations", ignored=("id", "seed", "options", "infos")
    ),
}
"""Every library's names; `softrl` itself needs none."""


def adapted(batch: Mapping[str, Any], names: str) -> Mapping[str, Any]:
    """A batch with another library's keys as softrl's; flags become bool, rewards of whole numbers float32.

    Args: `batch`: an entry of a dictionary may also be called `observations/NAME`, as in a file; `names`: a key of
      `ADAPTERS`, or `softrl` for no change.
    Raises: BatchError in that library's words: unknown or missing key, a flag that is neither 0 nor 1. ConfigError:
      unknown `names`.
    """
    batch = _grouped(batch)
    if names == "softrl":
        return batch
    require_known("names", names, ["softrl", *ADAPTERS])
    theirs = ADAPTERS[names]
    if not isinstance(batch, Mapping):
        raise BatchError("transitions", f"a mapping with {names}'s keys", f"a {type(batch).__name__}")
    keys = (theirs.obs, theirs.action, theirs.reward, theirs.next_obs, theirs.terminated, theirs.cut)
    check_keys("", batch, list(filter(None, keys)), [*filter(None, [theirs.truncated]), *theirs.ignored])
    terminated = _flag(theirs.terminated, batch) != theirs.inverted
    if theirs.cut is not None:
        cut = _flag(theirs.cut, batch)
        if cut.shape != terminated.shape:
            raise BatchError(theirs.cut, f"shape {terminated.shape}, as {theirs.terminated} has", f"shape {cut.shape}")
        terminated = terminated & ~cut
    obs, reward, whole = batch[theirs.obs], np.asarray(batch[theirs.reward]), theirs.next_obs is None
    ours = {
        "obs": _sliced(obs, slice(None, -1)) if whole else obs,
        "action": batch[theirs.action],
        "reward": reward.astype(np.float32) if reward.dtype.kind in "iub" else reward,
        "terminated": terminated,
        "next_obs": _sliced(obs, slice(1, None)) if whole else batch[theirs.next_obs],
    }
    if theirs.truncated is not None and theirs.truncated in batch:
        ours["truncated"] = _flag(theirs.truncated, batch)
    return ours


def _grouped(batch: Any) -> Any:
    """Entries that are called `observations/NAME` as those of a dictionary."""
    if not isinstance(batch, Mapping) or not any("/" in str(name) for name in batch):
        return batch
    try:
        return nested({tuple(str(name).split("/")): entry for name, entry in batch.items()})
    except TensorError as error:
        raise BatchError("transitions", "each name once", str(error)) from None


def renamed(error: BatchError, names: str) -> BatchError:
    """An error about softrl's fields, said in another library's words."""
    if names == "softrl":
        return error
    theirs = ADAPTERS[names]
    field, dot, rest = error.field.partition(".")
    others = {"next_obs": theirs.next_obs or theirs.obs, "truncated": theirs.truncated or "truncated"}
    known = theirs._asdict() | others
    return BatchError(f"{known.get(field, field)}{dot}{rest}", error.expected, error.got, error.rows)


def check_keys(prefix: str, given: Mapping[str, Any], required: Sequence[str], optional: Sequence[str] = ()) -> None:
    """Raises: BatchError for a key that is missing, or not known. Args: `prefix`: of the fields in errors."""
    known = [*required, *optional]
    for name in given:
        if name not in known:
            hint = suggestion(str(name), known)
            raise BatchError(f"{prefix}{name}", f"only the keys {', '.join(known)}{hint}", "a key that is not known")
    for name in required:
        if name not in given:
            raise BatchError(f"{prefix}{name}", f"the keys {', '.join(required)}", f"only {', '.join(map(str, given))}")


def _flag(name: str, batch: Mapping[str, Any]) -> np.ndarray:
    array = as_array(name, batch[name])
    if array.dtype.kind not in "fiub" or not np.isin(array, (0, 1)).all():
        raise BatchError(name, "flags: bool, or numbers that are 0 or 1", f"{array.dtype} with other values")
    return array.astype(bool)


def as_array(name: str, given: Any, expected: str = "an array") -> np.ndarray:
    """What NumPy makes of it. Raises: BatchError where that is no rectangular array."""
    try:
        return np.asarray(given)
    except (ValueError, TypeError) as error:
        raise BatchError(name, expected, f"no rectangular array ({error})") from None


def _sliced(obs: Any, part: slice) -> Any:
    if isinstance(obs, Mapping):
        return {name: _sliced(entry, part) for name, entry in obs.items()}
    if isinstance(obs, tuple):
        return tuple(_sliced(entry, part) for entry in obs)
    array = as_array("observations", obs)
    if array.ndim == 0:
        raise BatchError("observations", "one row more than there are actions", "a single number")
    return array[part]
