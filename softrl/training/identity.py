"""What a run is known by: its config, its members, and what else its numbers depend on."""

import functools
import platform
import subprocess
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import jax

from softrl.config import change, to_json
from softrl.errors import ConfigError
from softrl.storage import directory
from softrl.training.config import Config, read

PACKAGES = ("softrl", "jax", "jaxlib", "flax", "optax", "brax", "mujoco", "mujoco-mjx", "numpy")


def identity(config: Config, members: Sequence[Mapping[str, Any]] | None = None) -> dict[str, Any]:
    """What `config.json` holds: the config, members with settings of their own, and `surroundings`."""
    own = {} if members is None else {"members": [dict(member) for member in members]}
    return {"config": to_json(config), **own, **surroundings()}


def surroundings() -> dict[str, Any]:
    """What else numbers depend on: versions, commit and machine."""
    device = jax.local_devices()[0]
    return {
        "versions": {name: _version(name) for name in PACKAGES} | {"python": platform.python_version()},
        "commit": _commit(),
        "machine": {"device": device.device_kind, "devices": jax.local_device_count(), "system": platform.platform()},
    }


@functools.cache
def _commit() -> str | None:
    """The commit of the checkout that this package runs from; None where it is installed from elsewhere."""
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=5, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None


@functools.cache
def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def agree(out: Path, config: Config, members: Sequence[Mapping[str, Any]] | None = None) -> list[str]:
    """Writes the config of a new run, or refuses one that differs from the run that is there in more than `steps`.

    Returns: what else differs and may change bits: versions, commit, machine, as dotted names.
    """
    now, before = identity(config, members), None
    if (out / "config.json").exists():
        before = directory.read_config(out)
        old = read(before["config"])
        _refuse_other(out, old, config)
        if directory.differences({"members": before.get("members")}, {"members": now.get("members")}):
            raise ConfigError(f"{out} holds a run with other members; use the same members, or another --out")
        if config.training.steps < old.training.steps:
            raise ConfigError(
                f"{out} was meant for {old.training.steps} steps; steps may grow, not shrink to {config.training.steps}"
            )
    directory.write_config(out, now)
    if before is None:
        return []
    return directory.differences({**before, "config": None}, {**now, "config": None})


def _refuse_other(out: Path, old: Config, config: Config) -> None:
    old_values, new_values = to_json(change(old, steps=config.training.steps)), to_json(config)
    different = directory.differences(old_values, new_values)
    if different:
        told = ", ".join(
            f"{name.split('.')[-1]} ({_at(old_values, name)!r} there, {_at(new_values, name)!r} now)"
            for name in different
        )
        raise ConfigError(f"{out} holds a run with another {told}; use the same settings, or another --out")


def _at(data: dict[str, Any], dotted: str) -> Any:
    return functools.reduce(lambda tree, name: tree.get(name), dotted.split("."), data)
