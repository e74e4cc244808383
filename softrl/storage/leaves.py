"""A state as a table of named leaves and one flat host buffer: the form in which it is hashed and stored."""

import hashlib
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from softrl.errors import CheckpointError
from softrl.storage import durable
from softrl.types import PyTree

_ALIGNMENT = 64  # bytes; every leaf starts where NumPy and XLA read any dtype without a copy
_SHOWN = 20  # differences listed in one error


class Leaf(NamedTuple):
    """One leaf of a state.

    path: as JAX writes it, `.agent.params['w']`. dtype, shape: as the state has them (`key<fry>` for typed keys).
    stored: dtype of its bytes (`uint32` for typed keys). offset, size: where they are in the buffer, in bytes.
    sha256: of its bytes in C order; an empty string until `hashed`.
    """

    path: str
    dtype: str
    shape: tuple[int, ...]
    stored: str
    offset: int
    size: int
    sha256: str = ""


def layout(tree: PyTree) -> tuple[Leaf, ...]:
    """The table of leaves of a state, or of the `jax.ShapeDtypeStruct`s that describe one; nothing is hashed."""
    table, end = [], 0
    for path, leaf in jax.tree_util.tree_flatten_with_path(tree)[0]:
        data = jax.eval_shape(jax.random.key_data, leaf) if _is_key(leaf) else leaf
        dtype, size = _dtype(data), int(np.prod(np.shape(data), dtype=np.int64))
        size *= dtype.itemsize
        table.append(Leaf(jax.tree_util.keystr(path), str(_dtype(leaf)), np.shape(leaf), str(dtype), end, size))
        end += -(-size // _ALIGNMENT) * _ALIGNMENT
    return tuple(table)


def _dtype(leaf: PyTree) -> np.dtype:
    return leaf.dtype if hasattr(leaf, "dtype") else jnp.result_type(leaf)


def _is_key(leaf: PyTree) -> bool:
    return jnp.issubdtype(_dtype(leaf), jax.dtypes.prng_key)


def total_bytes(table: tuple[Leaf, ...]) -> int:
    """Length of the buffer; 0 for a state without elements."""
    return max((leaf.offset + leaf.size for leaf in table if leaf.size), default=0)


def filled_up(size: int, chunk: int) -> int:
    """The next multiple of `chunk` where there is more than one chunk: a store cuts an array into equal parts only."""
    return size if size <= chunk else -(-size // chunk) * chunk


def pack(state: PyTree, *, chunk: int) -> tuple[tuple[Leaf, ...], np.ndarray]:
    """Copies a state into host memory that nobody else owns; its own buffers may be donated as soon as this returns.

    One large array rather than many small ones: storing 200 leaves one by one costs four times the processor time.
    Leaves without elements take no place; typed keys are stored by their key data.

    Args: `chunk`: bytes that will be stored as one.
    Returns: The table of leaves, not yet hashed, and the buffer, `uint8[filled_up(total_bytes, chunk)]`.
    Raises: CheckpointError: a leaf that is not an array, has 64 bits while `jax_enable_x64` is off, or spans processes.
    """
    named = jax.tree_util.tree_flatten_with_path(state)[0]
    contents = [_data(jax.tree_util.keystr(path), leaf) for path, leaf in named]
    table = layout(state)
    # Zeros between the leaves and behind them: the same state, the same bytes.
    buffer = np.zeros(filled_up(total_bytes(table), chunk), np.uint8)
    for leaf, data in zip(table, contents, strict=True):
        if leaf.size:
            _copy(data, _part(leaf, buffer).reshape(data.shape))
    return table, buffer


def _data(path: str, leaf: PyTree) -> jax.Array | np.ndarray:
    if isinstance(leaf, jax.Array):
        if not leaf.is_fully_addressable:
            raise CheckpointError(f"leaf {path} spans several processes; a run is saved by one process")
        data = jax.random.key_data(leaf) if _is_key(leaf) else leaf
        # All transfers from an accelerator start before the first is waited for. On a CPU there is none, but JAX 0.11
        # would hold the array's memory for it, so that the next step could not be made in place.
        if next(iter(data.devices())).platform != "cpu":
            data.copy_to_host_async()
        return data
    if isinstance(leaf, bool | int | float):
        return np.asarray(leaf, jnp.result_type(leaf))
    if not isinstance(leaf, np.ndarray | np.generic) or leaf.dtype.kind in "OSUMm":
        raise CheckpointError(f"leaf {path} is a {type(leaf).__name__}; a state holds numeric arrays only")
    if jax.dtypes.canonicalize_dtype(leaf.dtype) != leaf.dtype:
        raise CheckpointError(f"leaf {path} is {leaf.dtype}, which JAX narrows: store 32 bits or set jax_enable_x64")
    return np.asarray(leaf)


def _copy(data: jax.Array | np.ndarray, out: np.ndarray) -> None:
    # Always a copy: on the CPU a JAX array and the NumPy array made of it share memory, and nobody promises what is in
    # it after the array was donated.
    if isinstance(data, np.ndarray) or len(data.sharding.device_set) == 1:
        out[...] = np.asarray(data)
        return
    for shard in data.addressable_shards:
        if shard.replica_id == 0:
            out[shard.index] = np.asarray(shard.data)


def _part(leaf: Leaf, buffer: np.ndarray) -> np.ndarray:
    return buffer[leaf.offset : leaf.offset + leaf.size].view(jnp.dtype(leaf.stored))


def hashed(table: tuple[Leaf, ...], buffer: np.ndarray) -> tuple[Leaf, ...]:
    """The table with the sha256 of each leaf's bytes filled in."""
    hashes = (hashlib.sha256(buffer[leaf.offset : leaf.offset + leaf.size]).hexdigest() for leaf in table)
    return tuple(leaf._replace(sha256=digest) for leaf, digest in zip(table, hashes, strict=True))


def sha256(table: tuple[Leaf, ...]) -> str:
    """The hash of a state from its hashed table: sha256 over every leaf's path, dtype, shape and sha256, in order."""
    rows = [[leaf.path, leaf.dtype, leaf.shape, leaf.sha256] for leaf in table]
    return hashlib.sha256(durable.encode(rows).encode()).hexdigest()


def require_match(table: tuple[Leaf, ...], abstract: PyTree, ignored: tuple[str, ...] = ()) -> None:
    """Refuses a stored table whose tree, shapes or dtypes are not those of `abstract`.

    Args: `ignored`: beginnings of paths; of leaves there the table may have more than `abstract`.
    Raises: CheckpointError: one error listing every difference (the first 20 of them).
    """
    wanted = {leaf.path: leaf for leaf in layout(abstract)}
    stored = {leaf.path: leaf for leaf in table if leaf.path in wanted or not leaf.path.startswith(ignored)}
    wrong = [f"{path}: missing in the checkpoint" for path in wanted if path not in stored]
    wrong += [f"{path}: in the checkpoint, not expected" for path in stored if path not in wanted]
    wrong += [
        f"{path}: {_kind(stored[path])} in the checkpoint, {_kind(wanted[path])} expected"
        for path in wanted
        if path in stored and _kind(stored[path]) != _kind(wanted[path])
    ]
    if not wrong and [_form(leaf) for leaf in stored.values()] != [_form(leaf) for leaf in wanted.values()]:
        wrong = ["the same leaves, but stored in another order or form"]
    if wrong:
        more = f"\n  and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
        listed = "".join(f"\n  {line}" for line in wrong[:_SHOWN])
        raise CheckpointError(f"the checkpoint does not hold the state that is expected; differences:{listed}{more}")


def _form(leaf: Leaf) -> Leaf:
    """A leaf wherever it is and whatever it holds."""
    return leaf._replace(offset=0, sha256="")


def _kind(leaf: Leaf) -> str:
    return f"{leaf.dtype}[{','.join(map(str, leaf.shape))}]"


def unpack(table: tuple[Leaf, ...], buffer: np.ndarray, abstract: PyTree) -> PyTree:
    """The state again, as JAX arrays where `abstract` wants them (on the default device where it does not say).

    Args:
      table, buffer: as stored; `require_match(table, abstract)` has passed and the hashes have been compared.
      abstract: pytree of `jax.ShapeDtypeStruct`, with or without shardings; arrays will do too.
    """
    places = {leaf.path: leaf for leaf in table}
    flat, structure = jax.tree_util.tree_flatten_with_path(abstract)
    restored = [_restored(_part(places[jax.tree_util.keystr(path)], buffer), leaf) for path, leaf in flat]
    return jax.tree_util.tree_unflatten(structure, restored)


def _restored(part: np.ndarray, target: PyTree) -> jax.Array:
    sharding = getattr(target, "sharding", None)
    if not _is_key(target):
        # Never an alias: the first step donates this array, and one alias would keep the whole buffer in memory.
        return jax.device_put(part.reshape(np.shape(target)), sharding, may_alias=False)
    implementations = []

    def key_data(keys):  # only a traced key tells its implementation; an abstract one does not
        implementations.append(jax.random.key_impl(keys))
        return jax.random.key_data(keys)

    data = jax.eval_shape(key_data, target)
    return jax.device_put(jax.random.wrap_key_data(part.reshape(data.shape).copy(), impl=implementations[0]), sharding)
