"""What an environment shows and takes, as JSON: to be kept with a run, and compared when it goes on."""

import functools
from collections.abc import Mapping
from typing import Any

import jax

from softrl.errors import ConfigError
from softrl.storage import directory
from softrl.types import EnvSpec


def written(spec: EnvSpec) -> dict[str, Any]:
    """Observations and actions as JSON: `{"obs": {"state": "float32[48]"}, "action": {"kind": "Continuous", …}}`."""
    paths, _ = jax.tree_util.tree_flatten_with_path(spec.obs)
    leaves = {jax.tree_util.keystr(at, simple=True, separator="/"): f"{x.dtype}{list(x.shape)}" for at, x in paths}
    obs = leaves.get("", leaves)
    return {"obs": obs, "action": {"kind": type(spec.action).__name__, **spec.action._asdict()}}


def require_alike(old: Mapping[str, Any], spec: EnvSpec, where: str) -> None:
    """Raises: ConfigError where observations or actions are not those of `old`, as `written`; `where`: begins it."""
    before, now = ({part: tree[part] for part in ("obs", "action")} for tree in (old, written(spec)))
    different = differences(before, now)
    if different:
        raise ConfigError(f"{where}: {different}; a policy fits only one kind of observations and actions")


def differences(old: dict[str, Any], new: dict[str, Any]) -> str:
    """What differs between two trees, in words; empty where nothing does."""
    return ", ".join(
        f"{name.split('.')[-1]} ({at(old, name)!r} there, {at(new, name)!r} now)"
        for name in directory.differences(old, new)
    )


def at(data: dict[str, Any], dotted: str) -> Any:
    """The entry of nested dictionaries at a dotted name; None where there is none."""
    return functools.reduce(lambda tree, name: (tree or {}).get(name), dotted.split("."), data)
