"""A learner on disk: `config.json` says what it is, `checkpoints/` hold it, one process at a time."""

from pathlib import Path
from typing import Any, NamedTuple

import jax

from softrl.config import to_json
from softrl.errors import CheckpointError, ConfigError
from softrl.learner.config import LearnerConfig, read
from softrl.storage import checkpoint, directory
from softrl.types import Action, Continuous, Discrete, PyTree, Spec


class LearnerFiles(NamedTuple):
    """The open files of a learner's directory."""

    claim: directory.Claim
    store: checkpoint.Store


def described(config: LearnerConfig, spec: Spec, replay_capacity: int, seed: int) -> dict[str, Any]:
    """What `config.json` holds: enough to make the same learner again."""
    return {
        "learner": to_json(config),
        "obs": _written(spec.obs),
        "action": {name: value for name, value in spec.action._asdict().items() if value is not None},
        "actor_obs": spec.actor_obs,
        "critic_obs": spec.critic_obs,
        "replay_capacity": replay_capacity,
        "seed": seed,
    }


def description(path: Path) -> dict[str, Any]:
    """The arguments that make the learner in `path` again: `config`, `obs_spec`, `action_spec`, `replay_capacity`, …

    Raises: CheckpointError where there is no learner.
    """
    written = _read_written(path)
    return {
        "config": read(written["learner"]),
        "obs_spec": _read(written["obs"]),
        "action_spec": _action(written["action"]),
        **{name: written[name] for name in ("actor_obs", "critic_obs", "replay_capacity", "seed")},
    }


def is_learner(path: Path) -> bool:
    """Whether a directory holds a learner. Raises: CheckpointError where it holds nothing, or is damaged."""
    return isinstance(directory.read_config(path).get("learner"), dict)


def _read_written(path: Path) -> dict[str, Any]:
    if not is_learner(path):
        raise CheckpointError(f"{path} holds no learner; `softrl.load` opens runs of `softrl train`")
    return _written_today(directory.read_config(path))


def _written_today(description: dict[str, Any]) -> dict[str, Any]:
    """A description that this or an older version wrote, as this one writes it."""
    today = dict(description)
    if "action_size" in today:
        today["action"] = {"size": today.pop("action_size")}
    if isinstance(today.get("learner"), dict):
        today["learner"] = to_json(read(today["learner"]))
    return today


def _written(obs: PyTree) -> dict[str, Any]:
    if isinstance(obs, dict):
        return {"entries": {name: _written(part) for name, part in obs.items()}}
    if isinstance(obs, tuple):
        return {"items": [_written(part) for part in obs]}
    return {"dtype": str(obs.dtype), "shape": list(obs.shape)}


def _read(obs: dict[str, Any]) -> PyTree:
    if "entries" in obs:
        return {name: _read(part) for name, part in obs["entries"].items()}
    if "items" in obs:
        return tuple(_read(part) for part in obs["items"])
    return jax.ShapeDtypeStruct(tuple(obs["shape"]), obs["dtype"])


def _action(action: dict[str, Any]) -> Action:
    bounds = {name: tuple(action[name]) for name in ("low", "high") if name in action}
    return Continuous(**action | bounds) if "size" in action else Discrete(**action)


def open_files(path: Path, description: dict[str, Any]) -> LearnerFiles:
    """Claims a directory for a learner of this description, new or the one that is there.

    Raises: ConfigError where another one is there, naming what differs. CheckpointError: in use or unwritable.
    """
    claim = directory.claim(path)
    try:
        if (path / "config.json").exists():
            written = _read_written(path)
            # Older versions kept no bounds of actions.
            written["action"] = {**description["action"], **written["action"]}
            if different := directory.differences(written, description):
                raise ConfigError(
                    f"{path} holds a learner with another {', '.join(different)}; use the same settings, or another dir"
                )
        else:
            directory.write_config(path, description)
        return LearnerFiles(claim, checkpoint.open_store(path / "checkpoints"))
    except BaseException:
        claim.release()
        raise


def save(files: LearnerFiles, state: PyTree, meta: dict[str, Any]) -> None:
    """Saves and waits until it is durable. Checkpoints are numbered by saves, so that a push alone can be saved too."""
    latest = files.store.latest
    checkpoint.save(files.store, 0 if latest is None else latest + 1, state, meta)
    checkpoint.wait(files.store)


def close(files: LearnerFiles) -> None:
    """Closes the store and lets the next process in."""
    try:
        checkpoint.close(files.store)
    finally:
        files.claim.release()
