"""How much memory a run takes, said before any of it is allocated."""

import os

import jax
from jax.sharding import Mesh

from softrl.errors import ConfigError
from softrl.storage import leaves
from softrl.types import PyTree
from softrl.units import size


def nbytes(tree: PyTree) -> int:
    """Bytes of all leaves (arrays or `ShapeDtypeStruct`; typed keys count their words)."""
    return sum(leaf.size for leaf in leaves.layout(tree))


def check_fits(tree: PyTree, *, replay: PyTree, mesh: Mesh | None = None) -> str:
    """A sentence on the run's size.

    Args: `tree`: the whole run, abstract; `replay`: its replay; `mesh`: the devices that it is spread over; those of a
      CPU share one memory.
    Raises: ConfigError where it cannot fit into the memory that is free.
    """
    alone = mesh is None or mesh.devices.flat[0].platform == "cpu"
    need, free = nbytes(tree) / (1 if alone else mesh.size), free_bytes()
    text = f"a run of {size(nbytes(tree))} (replay {size(nbytes(replay))})"
    if free is not None and need > free:
        raise ConfigError(
            f"{text} does not fit: {size(need)} a device needed, {size(free)} free; "
            "lower replay_size, num_envs or seeds"
        )
    return text


def free_bytes() -> int | None:
    """Free memory of the default device, or of the machine where that is the CPU; None where it is not known."""
    device = jax.local_devices()[0]
    if device.platform != "cpu":
        stats = device.memory_stats() or {}
        return stats["bytes_limit"] - stats.get("bytes_in_use", 0) if "bytes_limit" in stats else None
    try:
        with open("/proc/meminfo") as file:
            fields = dict(line.split(":", 1) for line in file)
        return int(fields["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
