"""Saved models: a learner's directory with the caller's side of it beside, where Stable-Baselines3 has a zip file."""

import shutil
from pathlib import Path
from typing import Any

from softrl.errors import ConfigError
from softrl.learner import Learner
from softrl.storage import folders, manifest

OWN = {"config.json", "checkpoints", ".lock"}
"""What a model's directory consists of."""


def folder(path: str | Path) -> Path:
    """Where the model of this path is: `best_model` for `best_model.zip`.

    Raises: ConfigError: a file is there, Stable-Baselines3's own.
    """
    path = Path(path)
    for file in (path, path.with_name(f"{path.name}.zip")):
        if file.is_file():
            raise ConfigError(f"{file} is a file, such as Stable-Baselines3 writes; softrl's models are directories")
    return path.with_suffix("") if path.suffix == ".zip" else path


def save(learner: Learner, path: Path, saved: dict[str, Any]) -> None:
    """Saves a learner to `path`. Raises: CheckpointError: the disk refused. ConfigError: no model is what is there."""
    extra = {"sb3": saved}
    try:
        learner.save_copy(path, extra)
    except ConfigError:
        if not _is_model(path):
            raise
        if others := sorted({entry.name for entry in path.iterdir()} - OWN):
            raise ConfigError(f"{path} holds another model, and {', '.join(others)}: save elsewhere") from None
        # Another one, which makes way as soon as the new one is whole.
        new, old = path.with_name(f".{path.name}.new"), _before(path)
        for left in (new, old):
            shutil.rmtree(left, ignore_errors=True)
        learner.save_copy(new, extra)
        path.rename(old)
        new.rename(path)
        shutil.rmtree(old)


def load(path: Path) -> tuple[Learner, dict[str, Any]]:
    """The learner, in memory from here on, and what was saved with it.

    Raises: CheckpointError: there is none, or it is damaged. ConfigError: a learner that is no model.
    """
    learner = Learner.load(path if path.exists() or not _before(path).exists() else _before(path))
    learner.close()
    saved = learner.extra.get("sb3")
    if saved is None:
        raise ConfigError(f"{path} holds a learner, but not a model saved by softrl.compat.sb3")
    rate = learner.config.hypers.policy_lr
    return learner, {"learning_rate": rate, "stats_window_size": 100, "tensorboard_log": None} | saved


def _before(path: Path) -> Path:
    """Where a model is while another one takes its place; a process that is killed then leaves it there."""
    return path.with_name(f".{path.name}.old")


def _is_model(path: Path) -> bool:
    checkpoints = path / "checkpoints"
    newest = folders.steps(checkpoints)[:1] if checkpoints.exists() else []
    return any("sb3" in manifest.verify(checkpoints / str(step)).meta.get("extra", {}) for step in newest)
