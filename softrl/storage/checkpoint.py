"""Checkpoints: Orbax writes and reads the arrays, a manifest of sha256 written last says which of them count.

A checkpoint is the folder `<directory>/<step>`. The loader walks the directory newest to oldest and takes the first
that verifies; what a killed or failed save leaves behind has no manifest and is deleted when a store is opened. A save
is asynchronous: it returns once the state is copied, and a worker thread does the rest.
"""

import contextlib
import dataclasses
import logging
import threading
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
import orbax.checkpoint as ocp
from etils import epath
from orbax.checkpoint import type_handlers

from softrl.errors import CheckpointError, ConfigError
from softrl.storage import durable, folders, leaves, manifest
from softrl.types import PyTree

_CHUNK_BYTES = 32 * 2**20  # Orbax compresses chunk by chunk, on several cores; a chunk is in memory twice
_BEST = "best"
_STATE = "state"  # the name of the one array that Orbax stores

# What Orbax logs about a failed save arrives as one CheckpointError; its own words would break the progress display.
logging.getLogger("absl").addFilter(lambda record: "orbax" not in record.pathname)


@dataclasses.dataclass
class Store:
    """An open folder of checkpoints; made by `open_store`, used from one thread, the only mutable thing here.

    directory, keep: as opened. latest: newest step saved or being saved, None before the first.
    """

    directory: Path
    keep: int
    latest: int | None
    manager: ocp.CheckpointManager
    worker: threading.Thread | None = None
    failure: CheckpointError | None = None


class Restored(NamedTuple):
    """A verified checkpoint: its step, state and metadata, and why newer ones were passed over (one line each)."""

    step: int
    state: PyTree
    meta: dict[str, Any]
    rejected: tuple[str, ...]


def open_store(directory: Path, *, keep: int = 2) -> Store:
    """Opens `directory`, creating it if need be, and deletes unfinished and damaged saves in it.

    Orbax silently refuses to save a step that is not newer than the newest folder, so those must go first.

    Args:
      directory: for example `runs/x/checkpoints`.
      keep: how many verified checkpoints stay on disk, ≥ 1; 2 leaves one to fall back on.
    Raises:
      ConfigError: keep < 1.
      CheckpointError: the directory cannot be made, or a checkpoint cannot be read (nothing is deleted then).
    """
    if keep < 1:
        raise ConfigError(f"keep must be at least 1, got {keep}")
    directory = Path(directory).absolute()
    with durable.explained("open the checkpoints in", directory):
        directory.mkdir(parents=True, exist_ok=True)
        for path in folders.unverified(directory):
            folders.delete(path)
        latest = max(folders.steps(directory), default=None)
    return Store(directory, keep, latest, _manager(directory))


def _manager(directory: Path) -> ocp.CheckpointManager:
    # Our worker thread is the asynchrony and our manifest the memory: Orbax neither spawns, deletes nor remembers.
    arrays = type_handlers.NumpyHandler(deepcopy_host_arrays=False)
    registry = type_handlers.create_type_handler_registry((np.ndarray, arrays))
    options = ocp.CheckpointManagerOptions(
        enable_async_checkpointing=False, lightweight_initialize=True, save_root_metadata=False, create=False
    )
    handler = ocp.PyTreeCheckpointHandler(type_handler_registry=registry)
    return ocp.CheckpointManager(directory, item_handlers=handler, options=options)


def save(store: Store, step: int, state: PyTree, meta: dict[str, Any]) -> None:
    """Starts saving `state` as checkpoint `step`; returns once the state's buffers may be donated.

    Waits for the save before it, then copies the state to host memory (that much memory more, until it is written). In
    the background: write, flush, hash, seal with the manifest, delete the oldest beyond `keep`.

    Args:
      step: must be newer than every checkpoint in the store.
      state: pytree of arrays, typed keys included, sharded or not.
      meta: JSON, stored in the manifest under its hash.
    Raises:
      CheckpointError: the save before this one failed (this one is then not begun; call again to try), the step is
        not new, or the state has no data or a leaf that is not an array.
      TypeError: `meta` is not JSON.
    """
    wait(store)
    if store.latest is not None and step <= store.latest:
        raise CheckpointError(f"step {step} is not newer than checkpoint {store.latest} in {store.directory}")
    durable.encode(meta)  # fails here, not in the worker
    table, buffer = leaves.pack(state, chunk=_CHUNK_BYTES)
    if not buffer.size:
        raise CheckpointError("the state holds no data; nothing to save")
    store.latest = step
    store.worker = threading.Thread(target=_write, args=(store, step, meta, table, buffer), name=f"checkpoint-{step}")
    store.worker.start()


def wait(store: Store) -> None:
    """Waits until the save under way is sealed.

    Raises: CheckpointError: it failed; said once. Older checkpoints are as they were, and the store can be used again.
    """
    if store.worker is not None:
        store.worker.join()
        store.worker = None
    if store.failure is not None:
        failure, store.failure = store.failure, None
        raise failure


def close(store: Store) -> None:
    """Waits as `wait` does, raises what it raises, and releases Orbax's threads either way."""
    try:
        wait(store)
    finally:
        store.manager.close()


def _write(store: Store, step: int, meta: dict[str, Any], table: tuple[leaves.Leaf, ...], buffer: np.ndarray) -> None:
    """The worker: it has no caller, so it leaves what went wrong in the store for the next call to raise."""
    try:
        # Before Orbax fills the disk. An empty replay compresses to nothing, but will fill: space for all of it counts.
        free = durable.free_bytes(store.directory)
        if free is not None and free < buffer.nbytes:
            raise CheckpointError("no space left on device")
        chunks = {_STATE: ocp.SaveArgs(chunk_byte_size=_CHUNK_BYTES)}
        if not store.manager.save(step, args=ocp.args.PyTreeSave({_STATE: buffer}, save_args=chunks)):
            raise CheckpointError("Orbax refused it without a reason")
        manifest.write(store.directory / str(step), manifest.Manifest(step, meta, leaves.hashed(table, buffer)))
    except Exception as error:
        store.failure = _failure(store.directory, step, buffer.nbytes, error)
        _forget_unfinished(store)
        return
    try:
        with durable.explained(f"delete what checkpoint {step} replaces in", store.directory):
            folders.keep_newest(store.directory, store.keep)
    except CheckpointError as error:
        store.failure = error


def _failure(directory: Path, step: int, needed: int, error: Exception) -> CheckpointError:
    free = durable.free_bytes(directory)
    known = "an unknown number" if free is None else f"{free:,}"
    lines = str(error).splitlines() or [type(error).__name__]
    reason = durable.cause(error, directory) if isinstance(error, OSError) else lines[0][:500]
    failure = CheckpointError(
        f"could not save checkpoint {step} in {directory}: {reason} (needs {needed:,} bytes, {known} are free); "
        "older checkpoints are intact"
    )
    failure.__cause__ = error
    return failure


def _forget_unfinished(store: Store) -> None:
    # Orbax remembers a failed step as saved; it is asked to look again once the remains are gone.
    with contextlib.suppress(OSError):
        for path in folders.unfinished(store.directory):
            folders.delete(path)
    with contextlib.suppress(OSError):
        store.latest = max(folders.steps(store.directory), default=None)
    with contextlib.suppress(Exception):
        store.manager.reload()


def restore(directory: Path, abstract: PyTree, *, ignored: tuple[str, ...] = ()) -> Restored | None:
    """The newest checkpoint in `directory` that verifies.

    Every file is hashed before Orbax reads it, and every leaf after. A damaged checkpoint is passed over and named in
    `rejected`; so is an unfinished one, whose save was interrupted. Nothing in a checkpoint can run code.

    Args:
      directory: as given to `open_store`; only read.
      abstract: pytree of `jax.ShapeDtypeStruct`: the state's tree, shapes, dtypes and, where set, shardings.
      ignored: beginnings of leaves' paths; those that are stored there and not expected are passed over.
    Returns: None where no save was ever finished.
    Raises: CheckpointError: all are damaged (each reason is listed), or the newest good one holds another state than
      `abstract` (every difference is listed).
    """
    directory = Path(directory).absolute()
    if not directory.exists():
        return None
    with durable.explained("read the checkpoints in", directory):
        steps = folders.steps(directory)
        rejected, damaged = [], False
        for folder in (directory / str(step) for step in steps):
            found = _load(folder, abstract, ignored)
            if isinstance(found, Restored):
                return found._replace(rejected=tuple(rejected))
            rejected.append(f"{folder}: {found}")
            damaged |= manifest.is_sealed(folder)
        if folders.steps(directory) != steps:
            # A run that trains meanwhile replaced them while we looked.
            return restore(directory, abstract, ignored=ignored)
    if damaged:
        listed = "".join(f"\n  {line}" for line in rejected)
        raise CheckpointError(f"no checkpoint in {directory} is whole; move it away to start anew:{listed}")
    return None


def _load(folder: Path, abstract: PyTree, ignored: tuple[str, ...]) -> Restored | str:
    """The checkpoint in `folder`, or why it is not one; an error only where it is whole but not what was asked for."""
    try:
        found = manifest.verify(folder)
    except (CheckpointError, OSError) as error:
        return str(error)
    leaves.require_match(found.leaves, abstract, ignored)
    try:
        buffer = _read(folder, found.leaves)
    except Exception as error:  # Orbax may raise anything, and an older checkpoint may still be good
        return (str(error).splitlines() or [type(error).__name__])[0][:500]
    return Restored(found.step, leaves.unpack(found.leaves, buffer, abstract), found.meta, ())


def _read(folder: Path, table: tuple[leaves.Leaf, ...]) -> np.ndarray:
    handler, path = ocp.PyTreeCheckpointHandler(), epath.Path(folder) / "default"
    total = leaves.total_bytes(table)
    lengths = (total, leaves.filled_up(total, _CHUNK_BYTES))  # the first is that of older versions
    sizes = [{_STATE: jax.ShapeDtypeStruct((length,), np.uint8)} for length in lengths]
    found = {
        name: jax.ShapeDtypeStruct(about.shape, about.dtype) for name, about in handler.metadata(path).tree.items()
    }
    if found not in sizes:  # before anything of that size is allocated
        raise CheckpointError("its data is not of the size that its manifest says")
    as_numpy = {_STATE: ocp.RestoreArgs(restore_type=np.ndarray)}
    buffer = handler.restore(path, args=ocp.args.PyTreeRestore(item=found, restore_args=as_numpy))[_STATE]
    if leaves.hashed(table, buffer) != table:
        raise CheckpointError("its leaves have other sha256 than its manifest says")
    return buffer


def save_best(directory: Path, state: PyTree, meta: dict[str, Any]) -> None:
    """Replaces the best policy, `<directory>/best`; killed at any moment it leaves the old one or the new one.

    Blocks until the new one is durable. To go on meanwhile, keep `open_store(directory / "best", keep=1)` open and
    save to it instead: it is the same form.

    Args: `directory`: the run's `checkpoints`.
    Raises: CheckpointError: as `save` and `wait`; the old one is intact.
    """
    store = open_store(Path(directory) / _BEST, keep=1)
    try:
        save(store, 0 if store.latest is None else store.latest + 1, state, meta)
    finally:
        close(store)


def restore_best(directory: Path, abstract: PyTree) -> Restored | None:
    """The best policy, as `restore` of `<directory>/best`; `step` only counts how often it was replaced."""
    return restore(Path(directory) / _BEST, abstract)


def state_sha256(state: PyTree) -> str:
    """sha256 over all leaves' paths, dtypes, shapes and bytes (typed keys by their key data), in hexadecimal.

    Equal for equal states whatever their sharding or device; differs for any other bit, −0.0 against 0.0 included.
    """
    return leaves.sha256(leaves.hashed(*leaves.pack(state, chunk=_CHUNK_BYTES)))
