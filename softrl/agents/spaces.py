"""Observations and actions as people describe them, as one `Spec`."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from softrl.envs import boxes
from softrl.errors import ConfigError
from softrl.types import Action, Continuous, Discrete, PyTree, Spec, selectors


def spec_of(obs_spec: Any, action_spec: Any, *, actor_obs: str | None = None, critic_obs: str | None = None) -> Spec:
    """The `Spec` for one observation and one action, without a batch axis.

    Args:
      obs_spec: anything whose leaves have `shape` and `dtype`: `jax.ShapeDtypeStruct`, an array, Gymnasium's `Box` or
        `Dict`, a dictionary of these.
      action_spec: `Continuous` or `Discrete`; the same as above for a row of A numbers, or A itself, within −1 and 1 or
        the bounds that it has; Gymnasium's `Discrete`.
      actor_obs, critic_obs: which entry of a dictionary observation each sees. Where neither is given and there are
        entries `state` and `privileged_state`, the actor sees the one and the critic the other.
    Raises: ConfigError: an observation without entries, an action that is neither a row of bounded numbers nor one of
      n, or an unknown entry.
    """
    obs = _shapes(obs_spec)
    boxes.require_own_names("obs_spec", obs)
    leaves = jax.tree.leaves(obs)
    if not leaves or not all(np.prod(leaf.shape) > 0 for leaf in leaves):
        raise ConfigError(f"obs_spec must hold at least one number, got {obs_spec!r}")
    if actor_obs is None and critic_obs is None:
        chosen = selectors(obs)
    else:
        chosen = {"actor_obs": actor_obs, "critic_obs": critic_obs}
    for name, entry in chosen.items():
        if entry is not None and not (isinstance(obs, dict) and entry in obs):
            known = ", ".join(map(repr, obs)) if isinstance(obs, dict) else "none: the observation is one array"
            raise ConfigError(f"{name} {entry!r} is no entry of the observation; entries: {known}")
    return Spec(obs, _action(action_spec), **chosen)


def _shapes(spec: Any) -> PyTree:
    spec = getattr(spec, "spaces", spec)
    if hasattr(spec, "items"):
        entries = {str(name): _shapes(entry) for name, entry in spec.items()}
        if len(entries) < len(spec):
            raise ConfigError(f"obs_spec: two entries have one name, of {', '.join(map(repr, spec))}: rename one")
        return entries
    if isinstance(spec, tuple | list):
        return tuple(_shapes(entry) for entry in spec)
    if not hasattr(spec, "shape") or getattr(spec, "dtype", None) is None:
        raise ConfigError(
            f"obs_spec: each entry needs a shape and a dtype, got {type(spec).__name__} {spec!r}; for example "
            "jax.ShapeDtypeStruct((17,), 'float32')"
        )
    if hasattr(spec, "nvec") or (hasattr(spec, "n") and tuple(spec.shape) == ()):
        raise ConfigError(f"obs_spec: what is one of n is given as n zeros and a one (FlattenObservation), got {spec}")
    dtype = np.dtype(spec.dtype)
    # Simulators say float64 and int64, and learning is in 32 bits.
    dtype = np.dtype(f"{dtype.kind}4") if dtype.kind in "fiu" and dtype.itemsize > 4 else dtype
    if dtype.kind not in "fiub" or jnp.zeros((), dtype).dtype != dtype:
        raise ConfigError(f"obs_spec: entries are float32, bool or integers of at most 32 bits, got {spec.dtype}")
    return jax.ShapeDtypeStruct(tuple(spec.shape), dtype)


def _action(spec: Any) -> Action:
    if isinstance(spec, Continuous | Discrete):
        boxes.require_sound("action_spec", spec)
        if isinstance(spec, Discrete) or spec.low is None:
            return spec
        return spec._replace(low=tuple(map(float, spec.low)), high=tuple(map(float, spec.high)))
    if hasattr(spec, "n") and not hasattr(spec, "low") and tuple(getattr(spec, "shape", None) or ()) == ():
        if getattr(spec, "start", 0) != 0:
            raise ConfigError(f"action_spec: actions are 0 … n − 1 here, got {spec!r}: shift them at the environment")
        return Discrete(int(spec.n))
    if isinstance(spec, int | np.integer) and not isinstance(spec, bool):
        shape: Any = (int(spec),)
    else:
        shape = tuple(getattr(spec, "shape", None) or ())
        dtype = getattr(spec, "dtype", None)
        if dtype is None or not jnp.issubdtype(dtype, jnp.floating):
            raise ConfigError(
                "action_spec must be one row of A floating-point numbers, A itself, or softrl.Discrete(n) for one of "
                f"n; got {spec!r}"
            )
    if len(shape) != 1 or shape[0] < 1:
        raise ConfigError(f"action_spec must be one row of A ≥ 1 numbers, got shape {shape}")
    low, high = (np.broadcast_to(getattr(spec, name, bound), shape) for name, bound in (("low", -1.0), ("high", 1.0)))
    if np.all(low == -1.0) and np.all(high == 1.0):
        return Continuous(int(shape[0]))
    boxes.require_bounds("action_spec", low, high, spec)
    return Continuous(int(shape[0]), *(tuple(np.float32(bound).tolist()) for bound in (low, high)))
