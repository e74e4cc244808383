"""What a caller gives, checked to the last number before anything is changed. NumPy only."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

from softrl.errors import BatchError
from softrl.experience.adapters import as_array, check_keys
from softrl.types import Action, Discrete, PyTree, Spec

_SHOWN = 8  # bad rows that an error lists
_ROUNDING = 1e-6
"""An action that rescaling in float32 has put so little beyond a bound, of the larger bound, is taken as the bound."""


class Rows(NamedTuple):
    """Checked transitions, `[B, ...]` NumPy arrays of the learner's own dtypes, B ≥ 1; actions in [−1, 1]."""

    obs: PyTree
    action: np.ndarray
    reward: np.ndarray
    terminated: np.ndarray
    next_obs: PyTree


def checked_rows(spec: Spec, transitions: Mapping[str, Any]) -> Rows:
    """Transitions as the learner stores them.

    Args:
      transitions: `obs` and `next_obs` (the true successor, also where the episode was cut) `[B, ...]`, `action`
        `[B, A]` within its bounds, `reward` `[B]`, `terminated` `[B]` bool, and if one likes `truncated` `[B]` bool,
        which is checked and changes nothing: a truncated step is learned from like any other. Numbers of any width are
        converted to the learner's, and those of lists whatever their type.
    Raises: BatchError: unknown or missing key, wrong rank, shape, dtype or length, no rows, NaN or ∞, an action out of
      its bounds.
    """
    if hasattr(transitions, "_asdict"):
        transitions = transitions._asdict()
    if not isinstance(transitions, Mapping):
        raise BatchError("transitions", f"a mapping with {', '.join(Rows._fields)}", f"a {type(transitions).__name__}")
    check_keys("transitions.", transitions, Rows._fields, ("truncated",))
    of = jax.ShapeDtypeStruct
    action, number, flag = of(spec.action.shape, spec.action.dtype), of((), np.float32), of((), bool)
    expected = Rows(spec.obs, action, number, flag, spec.obs)
    rows = Rows(*(_tree(field, transitions[field], part) for field, part in expected._asdict().items()))
    named = [leaf for field, tree in rows._asdict().items() for leaf in _leaves(field, tree)]
    if transitions.get("truncated") is not None:
        named.append(("truncated", _numbers("truncated", transitions["truncated"], flag)))
    _require_rows("transitions", named)
    return rows._replace(action=_unit(spec.action, rows.action))


def _unit(kind: Action, action: np.ndarray) -> np.ndarray:
    """Actions as agents have them: within the robot's own bounds as within [−1, 1], one of n as it is."""
    if isinstance(kind, Discrete):
        _require_within(action, 0, kind.n - 1, f"whole numbers from 0 to {kind.n - 1}")
        return action
    if kind.low is None:
        expected = "numbers in [−1, 1]: give the robot's own low and high with action_spec, or scale actions"
        _require_within(action, -1.0 - _ROUNDING, 1.0 + _ROUNDING, expected)
        return np.clip(action, -1.0, 1.0)
    low, high = np.float64(kind.low)[None], np.float64(kind.high)[None]
    slack = _ROUNDING * np.maximum(np.abs(low), np.abs(high))
    _require_within(action, low - slack, high + slack, f"numbers from {kind.low} to {kind.high}")
    unit = 2.0 * (action - low) / np.where(high > low, high - low, np.inf) - (high > low)  # 0 where there is no choice
    return np.clip(unit, -1.0, 1.0).astype(action.dtype)


def _require_within(action: np.ndarray, low: Any, high: Any, expected: str) -> None:
    outside = (action < low) | (action > high)
    if outside.any():
        raise BatchError("action", expected, f"{action[outside].flat[0]:.9g}", _rows(outside))


def checked_obs(spec: Spec, obs: Any) -> tuple[PyTree, bool]:
    """Observations to act on as `[B, ...]` arrays, and whether a single one was given.

    Entries that only the critic sees may be missing; they become zeros.
    Raises: BatchError as `checked_rows`.
    """
    single = _is_single(spec, obs)
    part = spec.actor_obs
    if isinstance(spec.obs, dict) and isinstance(obs, Mapping) and part in obs:
        seen = _tree(f"obs.{part}", obs[part], spec.obs[part], single)
        rows = () if single else (len(jax.tree.leaves(seen)[0]),)
        obs = {**jax.tree.map(lambda s: np.zeros((*rows, *s.shape), s.dtype), spec.obs), **obs}
    checked = _tree("obs", obs, spec.obs, single)
    _require_rows("obs", list(_leaves("obs", checked)))
    return checked, single


def _is_single(spec: Spec, obs: Any) -> bool:
    """Whether the actor's first entry has the rank of one observation."""
    expected, given = spec.obs, obs
    while isinstance(expected, dict) and isinstance(given, Mapping):
        name = spec.actor_obs if expected is spec.obs and spec.actor_obs else next(iter(expected))
        expected, given = expected[name], given.get(name)
    while isinstance(expected, tuple) and isinstance(given, tuple | list) and len(given):
        expected, given = expected[0], given[0]
    return hasattr(expected, "shape") and given is not None and np.ndim(given) == len(expected.shape)


def _tree(field: str, given: Any, expected: PyTree, single: bool = False) -> PyTree:
    """The entries that are expected, checked. Args: `single`: one row is given without its axis."""
    if isinstance(expected, dict):
        if not isinstance(given, Mapping):
            raise BatchError(field, f"a mapping with {', '.join(expected)}", f"a {type(given).__name__}")
        check_keys(f"{field}.", given, tuple(expected))
        return {name: _tree(f"{field}.{name}", given[name], part, single) for name, part in expected.items()}
    if isinstance(expected, tuple):
        if not isinstance(given, tuple | list) or len(given) != len(expected):
            raise BatchError(field, f"a tuple of {len(expected)}", f"a {type(given).__name__}")
        pairs = enumerate(zip(given, expected, strict=True))
        return tuple(_tree(f"{field}.{i}", x, part, single) for i, (x, part) in pairs)
    if isinstance(given, Mapping):
        raise BatchError(field, _spelled(expected), f"a mapping with {', '.join(map(str, given))}")
    return _numbers(field, given, expected, single)


def _numbers(field: str, given: Any, expected: jax.ShapeDtypeStruct, single: bool = False) -> np.ndarray:
    wanted, spelled = np.dtype(expected.dtype), _spelled(expected)
    array = as_array(field, given, spelled)
    array = array[None] if single else array
    if array.dtype.kind not in "fiub":
        raise BatchError(field, spelled, f"dtype {array.dtype}")
    if array.ndim != len(expected.shape) + 1 or array.shape[1:] != expected.shape:
        raise BatchError(field, spelled, f"shape {array.shape}")
    # Widening and narrowing among numbers of one kind is harmless, and a list has no type; else it is a mistake.
    alike = array.dtype.kind == wanted.kind or {array.dtype.kind, wanted.kind} == {"i", "u"}
    listed = isinstance(given, list | tuple) and array.dtype.kind == "i" and wanted.kind == "f"
    if array.dtype != wanted and not (alike or listed):
        raise BatchError(field, f"dtype {wanted}", f"dtype {array.dtype}")
    if wanted.kind in "iu" and array.size and not _holds(wanted, array):
        raise BatchError(field, f"numbers that {wanted} can hold", f"{array.min()} to {array.max()}")
    with np.errstate(over="ignore"):
        array = np.ascontiguousarray(array, wanted)
    if wanted.kind == "f" and not (finite := np.isfinite(array)).all():
        bad = array[~finite].flat[0]
        raise BatchError(field, "finite float32 numbers", f"{bad}", _rows(~finite))
    return array


def _holds(wanted: np.dtype, array: np.ndarray) -> bool:
    kind = np.iinfo(wanted)
    return kind.min <= int(array.min()) and int(array.max()) <= kind.max


def _require_rows(field: str, named: list[tuple[str, np.ndarray]]) -> None:
    """As many rows everywhere, and at least one."""
    first, count = named[0][0], len(named[0][1])
    for name, array in named:
        if len(array) != count:
            raise BatchError(name, f"{count} rows, as {first} has", f"{len(array)} rows")
    if count == 0:
        raise BatchError(field, "at least one row", "0 rows")


def _leaves(field: str, tree: PyTree) -> Iterator[tuple[str, np.ndarray]]:
    """The arrays of checked entries, by name."""
    if isinstance(tree, dict | tuple):
        for name, part in tree.items() if isinstance(tree, dict) else enumerate(tree):
            yield from _leaves(f"{field}.{name}", part)
    else:
        yield field, tree


def _rows(bad: np.ndarray) -> list[int]:
    return np.flatnonzero(bad.reshape(len(bad), -1).any(axis=1))[:_SHOWN].tolist()


def _spelled(expected: jax.ShapeDtypeStruct) -> str:
    return f"{np.dtype(expected.dtype)} of shape ({', '.join(['B', *map(str, expected.shape)])})"
