"""How programs are compiled, and JAX's cache of them: what was compiled once on this machine is not compiled again."""

import contextlib
import os
import urllib.parse
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import jax

from softrl.storage import durable


def use_compilation_cache() -> None:
    """Turns on JAX's persistent compilation cache in the user's cache folder, unless one is configured already."""
    if jax.config.jax_compilation_cache_dir is None:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        jax.config.update("jax_compilation_cache_dir", str(base / "softrl" / "xla"))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.5)


class Wanted(NamedTuple):
    """A program to compile. lower: traces and lowers it. busy: it runs most of the time, so it is worth more of it."""

    lower: Callable[[], Any]
    busy: bool = False


def compiler_options(*, busy: bool = True) -> dict[str, Any]:
    """On a CPU LLVM's first level, which halves the compile time, with updates as fast and physics slower by 4 %; for
    programs that are not `busy` also XLA's older code generator, which halves it again (evaluations as fast, updates
    slower by a fifth). Later releases of JAX know only the newer one."""
    if jax.local_devices()[0].platform != "cpu":
        return {}
    older = {} if busy or not jax.__version__.startswith("0.10.") else {"xla_cpu_use_fusion_emitters": False}
    return {"xla_backend_optimization_level": 1, **older}


def compiled(*wanted: Wanted) -> list[Any]:
    """Executables, in order; XLA compiles each in a thread while the next is traced, so the longest goes first."""
    with ThreadPoolExecutor(len(wanted)) as pool:
        options = (compiler_options(busy=program.busy) for program in wanted)
        made = [pool.submit(program.lower().compile, option) for program, option in zip(wanted, options, strict=True)]
        return [program.result() for program in made]


def last_seconds(name: str) -> float | None:
    """How long compiling what is called so took the last time on this machine; None if nobody knows."""
    with contextlib.suppress(OSError, ValueError):
        return float(_note(name).read_text())
    return None


def remember(name: str, seconds: float) -> None:
    """Notes beside the compiled programs how long it took; a place that cannot be written to is left alone."""
    with contextlib.suppress(OSError, ValueError):
        file = _note(name)
        file.parent.mkdir(parents=True, exist_ok=True)
        durable.write_atomically(file, f"{seconds:.1f}\n".encode())


def _note(name: str) -> Path:
    """Raises: ValueError where programs are not kept, or elsewhere than in a folder."""
    place = jax.config.jax_compilation_cache_dir
    if place is None or "://" in place:
        raise ValueError(f"no folder for compiled programs, but {place}")
    return Path(place) / "seconds" / urllib.parse.quote(name, safe="")
