"""The folders in a directory of checkpoints: which steps there are, what a killed save left, how one is deleted."""

import re
import shutil
from pathlib import Path

from softrl.errors import CheckpointError
from softrl.storage import manifest

_STEP = re.compile(r"0|[1-9][0-9]*", re.ASCII)
_UNCOMMITTED = ".orbax-checkpoint-tmp"  # in the name of a folder that Orbax has not finished


def steps(directory: Path) -> list[int]:
    """Steps that `directory` has an entry for, good or bad, newest first; read from the disk, never remembered."""
    return sorted((int(path.name) for path in directory.iterdir() if _STEP.fullmatch(path.name)), reverse=True)


def unfinished(directory: Path) -> list[Path]:
    """What saves that were killed or failed left behind: it has no manifest."""
    return [path for path in directory.iterdir() if _is_unfinished(path)]


def _is_unfinished(path: Path) -> bool:
    return _UNCOMMITTED in path.name or (_STEP.fullmatch(path.name) is not None and not manifest.is_sealed(path))


def unverified(directory: Path) -> list[Path]:
    """The unfinished and the damaged: every checkpoint that its manifest does not vouch for. Hashes every file.

    Raises: OSError: one cannot be read, so nobody can say.
    """
    return [path for path in directory.iterdir() if _is_unfinished(path) or _is_damaged(path)]


def _is_damaged(path: Path) -> bool:
    if not _STEP.fullmatch(path.name):
        return False
    try:
        manifest.verify(path)
    except CheckpointError:
        return True
    return False


def keep_newest(directory: Path, count: int) -> None:
    """Deletes all steps of `directory` but the newest `count`."""
    for step in steps(directory)[count:]:
        delete(directory / str(step))


def delete(path: Path) -> None:
    """Deletes one checkpoint, its manifest first: interrupted, it leaves an unfinished save and not a damaged one."""
    if path.is_symlink() or not path.is_dir():
        path.unlink(missing_ok=True)
        return
    (path / manifest.NAME).unlink(missing_ok=True)
    shutil.rmtree(path)
