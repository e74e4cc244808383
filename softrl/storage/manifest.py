"""A manifest of sha256, written last: a folder is a checkpoint if and only if its manifest verifies.

The manifest (`manifest.json`) begins with the sha256 of all that follows in it: the checkpoint's metadata, the leaves
of its state and every file of the folder, with their sha256. Whatever it does not list, or lists and is not there,
makes the folder damaged. Names in it are only compared with what the folder holds, never opened: they lead nowhere.
"""

import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from softrl.errors import CheckpointError
from softrl.storage import durable
from softrl.storage.leaves import Leaf

NAME = "manifest.json"
_FORMAT = 1
_MAX_BYTES = 64 * 2**20
_MAX_FILES = 100_000
_OPENING, _COMMA = b'{"sha256": "', b'", '


class Manifest(NamedTuple):
    """What a verified checkpoint says of itself: its step, its metadata and its table of leaves."""

    step: int
    meta: dict[str, Any]
    leaves: tuple[Leaf, ...]


def write(folder: Path, manifest: Manifest) -> None:
    """Makes every file of `folder` durable, hashes what the disk now holds, and seals it with a manifest.

    Raises: OSError: the file system refused; `folder` then has no manifest.
    """
    files = {name: _fingerprint(folder / name, flush=True) for name in sorted(_files(folder))}
    for inner in {parent for name in files for parent in Path(name).parents}:
        durable.sync_directory(folder / inner)
    durable.sync_directory(folder.parent)
    body = {"format": _FORMAT, **manifest._asdict(), "files": files}
    durable.write_atomically(folder / NAME, sealed(durable.encode(body).encode()))


def sealed(body: bytes) -> bytes:
    """A JSON object with the sha256 of its bytes put in front, as its first field."""
    return _OPENING + hashlib.sha256(body).hexdigest().encode() + _COMMA + body[1:]


def is_sealed(folder: Path) -> bool:
    """Whether `folder` has a manifest, good or bad; without one, its save did not finish."""
    return os.path.lexists(folder / NAME)


def verify(folder: Path) -> Manifest:
    """Reads the manifest of `folder` and holds every file against it.

    Raises:
      CheckpointError: damaged, with the reason.
      OSError: it could not be read at all, which says nothing about its contents.
    """
    if not stat.S_ISDIR(folder.lstat().st_mode):
        raise CheckpointError("not a folder")
    found = set(_files(folder))
    if NAME not in found:
        raise CheckpointError("no manifest: its save did not finish")
    body = _body(folder / NAME)
    listed = body["files"]
    if missing := sorted(listed.keys() - found):
        raise CheckpointError(f"file {missing[0]!r} is missing")
    if extra := sorted(found - listed.keys() - {NAME}):
        raise CheckpointError(f"file {extra[0]!r} is not in the manifest")
    for name in sorted(listed):
        if (folder / name).lstat().st_size != listed[name][0]:
            raise CheckpointError(f"file {name!r} has another size than the manifest says")
    for name in sorted(listed):
        if _fingerprint(folder / name) != listed[name]:
            raise CheckpointError(f"file {name!r} has another sha256 than the manifest says")
    return _manifest(folder, body)


def _body(path: Path) -> dict[str, Any]:
    if path.lstat().st_size > _MAX_BYTES:
        raise CheckpointError(f"the manifest is larger than {_MAX_BYTES:,} bytes")
    content = path.read_bytes()
    body = b"{" + content[len(sealed(b"{")) :]
    if sealed(body) != content:
        raise CheckpointError("the manifest contradicts its own sha256")
    try:
        fields = durable.decode(body)
        if fields["format"] == _FORMAT and all(len(entry) == 2 for entry in fields["files"].values()):
            return fields
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise CheckpointError(f"the manifest cannot be read ({error})") from None
    raise CheckpointError(f"the manifest has format {fields['format']!r}; this version of softrl reads {_FORMAT}")


def _manifest(folder: Path, body: dict[str, Any]) -> Manifest:
    try:
        rows = [Leaf(**row) for row in body["leaves"]]
        leaves = tuple(row._replace(path=str(row.path), shape=tuple(row.shape)) for row in rows)
        manifest = Manifest(body["step"], body["meta"], leaves)
    except (TypeError, KeyError, ValueError) as error:
        raise CheckpointError(f"the manifest is not a checkpoint's ({error})") from None
    if str(manifest.step) != folder.name:
        raise CheckpointError(f"the manifest belongs to step {manifest.step}")
    return manifest


def _files(folder: Path) -> Iterator[str]:
    """Names of all regular files under `folder`, relative; anything else there (link, pipe, device) is refused."""
    waiting, count = [folder], 0
    while waiting:
        with os.scandir(waiting.pop()) as entries:
            for entry in entries:
                name = Path(entry.path).relative_to(folder).as_posix()
                count += 1
                if count > _MAX_FILES:
                    raise CheckpointError(f"more than {_MAX_FILES:,} files")
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(Path(entry.path))
                elif entry.is_file(follow_symlinks=False):
                    yield name
                else:
                    raise CheckpointError(f"{name!r} is not a regular file")


def _fingerprint(path: Path, *, flush: bool = False) -> list[int | str]:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    with os.fdopen(descriptor, "rb") as file:
        if flush:
            os.fsync(descriptor)
        return [os.fstat(descriptor).st_size, hashlib.file_digest(file, "sha256").hexdigest()]
